"""Network parts that recipes share."""
