"""A line of a crontab as cron reads it."""


def command_of(line: str) -> tuple[str, str]:
    """Return the five fields and the command for the shell: a % ends it, unless there is a backslash before."""
    *fields, rest = line.split(maxsplit=5)
    command = ""
    for number, sign in enumerate(rest):
        if sign == "%" and rest[number - 1] != "\\":
            break
        command = command[:-1] + sign if sign == "%" else command + sign
    return " ".join(fields), command
