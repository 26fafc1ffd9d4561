"""What each command of the command line does. Imported one by one, so that `--help` stays quick."""
