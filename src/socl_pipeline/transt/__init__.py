"""TransT (Chen et al. 2021): boxes from a template and a search patch, by attention."""
