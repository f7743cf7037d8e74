package simulate

import (
	"strconv"
	"time"
)

var (
	levels   = []string{"info", "info", "info", "info", "info", "debug", "debug", "warn", "error"}
	services = []string{"payment", "stock", "shipping", "voucher", "customer"}
	messages = []string{
		"order placed", "payment authorised", "stock reserved", "basket updated", "session resumed",
		"voucher checked against the campaign", "retrying a call that timed out", "cache filled from the database",
	}
	paths = []string{
		"/", "/api/v2/basket", "/api/v2/basket/items", "/search?q=lamp&page=2", "/assets/app.4f1c09e2.js", "/product/",
		"/healthz", "/checkout/address", "/img/hero-1280.webp",
	}
	methods = []string{"GET", "GET", "GET", "GET", "POST", "PUT", "HEAD"}
	codes   = []string{"200", "200", "200", "200", "200", "304", "301", "404", "499", "502"}
	agents  = []string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1",
		"kube-probe/1.34", "curl/8.14.1", "ShopApp/7.3.1 (Android 16)",
	}
	controllers = []string{"replica_set.go", "garbagecollector.go", "shared_informer.go", "node_lifecycle.go", "endpointslice.go"}
	sentences   = []string{
		`"Finished syncing" kind="ReplicaSet" duration=`, `"Caches are synced" controller="endpoint_slice" duration=`,
		`"Event occurred" reason="SuccessfulCreate" duration=`, `"Watch closed" reflector="factory.go:160" duration=`,
	}
	threads    = []string{"http-nio-8080-exec-", "pool-2-thread-", "kafka-consumer-", "scheduling-"}
	classes    = []string{"OrderService", "InvoiceWriter", "StockClient", "PriceRules", "MailQueue"}
	failures   = []string{"java.net.SocketTimeoutException: Read timed out", "java.lang.IllegalStateException: order is already closed", "java.util.concurrent.CompletionException: no answer from stock"}
	frames     = []string{"submit", "lambda$handle$3", "execute", "doFilter", "invoke", "run", "call", "apply"}
	callers    = []string{"server.go", "router.go", "middleware/log.go", "store/orders.go", "ring/lifecycle.go"}
	statements = []string{
		"SELECT id, total, state FROM orders WHERE customer_id = $1 ORDER BY created_at DESC LIMIT 50",
		"UPDATE stock SET reserved = reserved + $1 WHERE sku = $2 RETURNING reserved",
		"INSERT INTO events (kind, payload, created_at) VALUES ($1, $2, now())",
	}
)

func (l *Lines) json(b []byte, t time.Time) []byte {
	b = append(b, `{"time":"`...)
	b = l.clock.append(b, t)
	b = append(b, `","level":"`...)
	b = append(b, l.pick(levels)...)
	if l.seq >= 0 {
		b = append(b, `","seq":`...)
		b = strconv.AppendInt(b, l.seq, 10)
		b = append(b, `,"msg":"`...)
	} else {
		b = append(b, `","msg":"`...)
	}
	b = append(b, l.pick(messages)...)
	b = append(b, `","service":"`...)
	b = append(b, l.pick(services)...)
	b = append(b, `","order":`...)
	b = l.number(b, 9_000_000)
	b = append(b, `,"trace_id":"`...)
	b = l.hex(l.hex(b, 16), 16)
	b = append(b, `","duration_ms":`...)
	b = l.number(b, 400)
	return append(b, '}')
}

func (l *Lines) nginx(b []byte, t time.Time) []byte {
	b = append(b, "10.244."...)
	b = append(l.number(b, 8), '.')
	b = l.number(b, 254)
	b = append(b, " - - ["...)
	b = l.clock.append(b, t)
	b = append(b, `] "`...)
	b = append(b, l.pick(methods)...)
	b = append(b, ' ')
	b = append(b, l.pick(paths)...)
	b = append(b, ` HTTP/1.1" `...)
	b = append(b, l.pick(codes)...)
	b = append(b, ' ')
	b = l.number(b, 60_000)
	b = append(b, ` "https://shop.example/" "`...)
	b = append(b, l.pick(agents)...)
	b = append(b, `" 0.`...)
	return digits(b, l.rng.IntN(1000), 3)
}

func (l *Lines) klog(b []byte, t time.Time) []byte {
	b = append(b, "IIIIIIIWWE"[l.rng.IntN(10)])
	b = l.clock.append(b, t)
	b = append(b, '.')
	b = digits(b, t.Nanosecond()/1000, 6)
	b = append(b, "       1 "...)
	b = append(b, l.pick(controllers)...)
	b = append(b, ':')
	b = l.number(b, 900)
	b = append(b, "] "...)
	b = append(b, l.pick(sentences)...)
	b = append(b, '"')
	b = l.number(b, 900)
	b = append(b, `ms" key="shop/frontend-`...)
	b = l.hex(b, 9)
	return append(b, '"')
}

// java is one line of the log in 40 followed by a stack trace, the rest ordinary ones.
func (l *Lines) java(b []byte, t time.Time) ([]byte, Stream) {
	if l.frames > 0 {
		l.frames--
		l.frame++
		if l.frame == 1 {
			return append(b, l.pick(failures)...), Stderr
		}
		b = append(b, "\tat shop.orders."...)
		b = append(b, l.pick(classes)...)
		b = append(b, '.')
		b = append(b, l.pick(frames)...)
		b = append(b, '(')
		b = append(b, l.pick(classes)...)
		b = append(b, ".java:"...)
		b = l.number(b, 400)
		return append(b, ')'), Stderr
	}
	failed := l.rng.IntN(40) == 0
	b = l.clock.append(b, t)
	b = append(b, '.')
	b = digits(b, t.Nanosecond()/1_000_000, 3)
	if failed {
		b = append(b, " ERROR ["...)
	} else {
		b = append(b, "  INFO ["...)
	}
	b = append(b, l.pick(threads)...)
	b = l.number(b, 16)
	b = append(b, "] shop.orders."...)
	b = append(b, l.pick(classes)...)
	if failed {
		l.frames, l.frame = 6+l.rng.IntN(12), 0
		b = append(b, " - request failed, order "...)
		return l.number(b, 9_000_000), Stderr
	}
	b = append(b, " - "...)
	b = append(b, l.pick(messages)...)
	b = append(b, ", order "...)
	return l.number(b, 9_000_000), Stdout
}

func (l *Lines) postgres(b []byte, t time.Time) []byte {
	b = l.clock.append(b, t)
	b = append(b, '.')
	b = digits(b, t.Nanosecond()/1_000_000, 3)
	b = append(b, " UTC ["...)
	b = strconv.AppendInt(b, int64(40+l.rng.IntN(30)), 10)
	switch l.rng.IntN(10) {
	case 0:
		b = append(b, "] LOG:  checkpoint complete: wrote "...)
		b = l.number(b, 4000)
		b = append(b, " buffers; write="...)
		b = l.number(b, 30)
		return append(b, ".204 s, sync=0.011 s"...)
	case 1:
		b = append(b, `] FATAL:  remaining connection slots are reserved, user "`...)
		b = append(b, l.pick(services)...)
		return append(b, '"')
	default:
		b = append(b, "] LOG:  duration: "...)
		b = l.number(b, 900)
		b = append(b, ".412 ms  statement: "...)
		return append(b, l.pick(statements)...)
	}
}

func (l *Lines) logfmt(b []byte, t time.Time) []byte {
	b = append(b, "ts="...)
	b = l.clock.append(b, t)
	b = append(b, '.')
	b = digits(b, t.Nanosecond()/1_000_000, 3)
	b = append(b, "Z level="...)
	b = append(b, l.pick(levels)...)
	b = append(b, " caller="...)
	b = append(b, l.pick(callers)...)
	b = append(b, ':')
	b = l.number(b, 900)
	b = append(b, ` msg="`...)
	b = append(b, l.pick(messages)...)
	b = append(b, `" method=`...)
	b = append(b, l.pick(methods)...)
	b = append(b, " path="...)
	b = append(b, l.pick(paths)...)
	b = append(b, " status="...)
	b = append(b, l.pick(codes)...)
	b = append(b, " duration="...)
	b = l.number(b, 400)
	b = append(b, '.')
	b = digits(b, l.rng.IntN(1000), 3)
	b = append(b, "ms bytes="...)
	b = l.number(b, 60_000)
	b = append(b, " trace_id="...)
	return l.hex(b, 16)
}
