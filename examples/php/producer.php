<?php
// Cancels with one LPUSH by the extension php-redis. Orders come from standard input as CSV with the header
// `instId,ordId`. Needs BROKER_URL, ACCOUNT and BATCH_ID.
[, $lines] = [fgetcsv(STDIN, escape: ''), []];
while ($cells = fgetcsv(STDIN, escape: '')) {
    $lines[] = ['instId' => $cells[0], 'ordId' => $cells[1]];
}
$batch = ['account' => getenv('ACCOUNT'), 'batch_id' => getenv('BATCH_ID'), 'orders' => $lines];
$uuid = fn() => vsprintf('%s%s-%s-%s-%s-%s%s%s', str_split(bin2hex(random_bytes(16)), 4));
$message = [
    'body' => json_encode([[], $batch, (object) []]), // args, kwargs, nothing more
    'content-type' => 'application/json',
    'content-encoding' => 'utf-8',
    'headers' => ['task' => 'tasks.cancel_orders', 'id' => $uuid()],
    'properties' => [
        'delivery_tag' => $uuid(),
        'delivery_info' => ['exchange' => '', 'routing_key' => 'cancel'],
    ],
];
$broker = parse_url(getenv('BROKER_URL'));
$redis = new Redis();
$redis->connect($broker['host'], $broker['port']);
$redis->select((int) ltrim($broker['path'] ?? '0', '/'));
$redis->lPush('cancel', json_encode($message));
echo 'sent; it is taken once `bulk-cancel status ', getenv('BATCH_ID'), "` knows it\n";
