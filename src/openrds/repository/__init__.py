"""The backup repository: a folder or an object storage elsewhere, where nothing is kept that is not sealed."""
