"""Published quality and serving figures, each with table and arXiv id."""
