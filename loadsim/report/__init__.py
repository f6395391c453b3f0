"""Reports of a load run: one document from which everything else is drawn, merged, checked and compared."""
