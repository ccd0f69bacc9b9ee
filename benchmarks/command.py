"""A benchmark's command as its result file keeps it."""

FOLDERS = ("data_path", "checkpoint_dir")  # this machine's, nobody else's


def shareable(words):
    """The words of a command line without those that name a folder of this machine."""
    return [word for word in words if not any(name in word for name in FOLDERS)]
