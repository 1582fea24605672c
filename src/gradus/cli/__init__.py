"""The command line: parse, call, print; one file a command.

A command is a line in `gradus.cli.main.COMMANDS` and a file with one function of the same name,
annotated for typer. The file is imported when its command is called, never before. The signature
is the command's help, an option with its words beside it, and so is as long as that is (100 lines
in `gradus.cli.predict`); below it stands what hands the options on, and the work elsewhere.

The function's docstring is its help: paragraphs flow, indented blocks are kept as they stand (the
examples), and sections for programmers (``Args:``, ``Returns:``, ``Raises:``) are left out. Errors
are raised, not printed: `gradus.cli.main.main` turns them into one message and an exit code; a
command that ends with another code raises ``typer.Exit(code)``.
"""
