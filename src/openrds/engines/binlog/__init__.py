"""What MySQL and MariaDB share: servers whose log is the binary log. What differs is said by a `Flavour`."""
