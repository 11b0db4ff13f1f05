"""What the tests of engines share beside their fixtures."""

#: Of the administrators.
PASSWORD = "Secret#Word_1"
