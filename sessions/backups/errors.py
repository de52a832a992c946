"""What can go wrong with a backup, in the words an admin reads."""


class BackupError(Exception):
    """It was not done, or the file is not good; nothing was changed."""

    status = 1


class UsageError(BackupError):
    """It was asked for in a way that cannot be done."""

    status = 2
