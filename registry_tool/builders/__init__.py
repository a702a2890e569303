"""Builders: from locked files and templates to images, behind one interface."""
