"""Data: the public files as RecBole datasets."""
