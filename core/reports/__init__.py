"""What leaves Headroom: pictures, HTML reports, decision records and slides."""
