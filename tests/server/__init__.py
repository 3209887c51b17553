"""The server around the pages: headers, entry, health."""
