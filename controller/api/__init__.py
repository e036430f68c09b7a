"""What users see: types, field classes, conditions, reasons and the CRDs made from them.

Types and tables and what is derived from them; nothing here decides, reads a clock or does I/O
(``generate``, which only ``make`` runs, writes the derived files).
"""
