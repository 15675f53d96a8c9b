"""One reader for each kind of file that certificates and keys come in; all hand over `Contents`."""
