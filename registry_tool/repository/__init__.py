"""Git: reader, recorder, lease, hooks. The only package that imports `git`; nothing of it leaves."""
