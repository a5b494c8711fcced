"""Strangers' files to the plain form in one visible step: `import_source`."""


def import_source(source, out, **options):
    """Turn a data set of any usual kind into the plain form; see `importer.import_source`."""
    from .importer import import_source as run  # not above: the command's help starts without NumPy

    return run(source, out, **options)
