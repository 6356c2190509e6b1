"""Studies behind the shipped pack; in no wheel."""
