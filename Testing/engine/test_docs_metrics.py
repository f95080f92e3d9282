"""The page on metrics says what the register says."""

from metrics_table import metrics_table, table_in_page


def test_table_is_the_registers():
    assert table_in_page() == metrics_table(), "run python Testing/engine/metrics_table.py"
