"""What the command shows: live progress, the comparison, errors. Renders; decides nothing."""
