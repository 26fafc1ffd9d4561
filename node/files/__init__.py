"""Single files and directories, never through a link."""
