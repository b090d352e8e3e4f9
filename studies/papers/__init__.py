"""The tables of two papers, beside what their networks really take."""
