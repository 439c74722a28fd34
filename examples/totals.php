<?php
// SPDX-License-Identifier: Apache-2.0
// Sums of a CSV's last column by its first: php totals.php < sales.csv
$rows = array_map('str_getcsv', array_filter(explode("\n", stream_get_contents(STDIN))));
$names = array_shift($rows);
echo count($rows), " rows of ", implode(", ", $names), "\n";
$totals = [];
foreach ($rows as $row) {
    $totals[$row[0]] = ($totals[$row[0]] ?? 0) + (float) end($row);
}
ksort($totals);
foreach ($totals as $name => $total) {
    printf("%-12s %10.2f\n", $name, $total);
}
