"""The generated parts of README.md and docs/: ``python -m tools.docs`` writes them, ``--check`` compares.

A block of a page stands under a comment, ``<!-- table: NAME ARGUMENTS -->`` or ``<!-- text: NAME ARGUMENTS -->``; the
function of that name in ``blocks.py`` makes it from the files in ``benchmarks/*/results``. Whole files, docs/keys.md
and the figures in docs/images/, are made by the functions in ``files.py``.
"""
