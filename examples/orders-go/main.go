// The order story, as a tutorial for segmentio/kafka-go would tell it: a shop writes orders, and three
// services read them, each as a consumer group of its own, so that each gets every order.
//
//	klamm up -f manifests/laptop.yaml
//	go run . -orders 1000
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
)

const topic = "order-placed"

var (
	broker  = flag.String("broker", "localhost:9092", "where a broker listens")
	orders  = flag.Int("orders", 1000, "how many orders are placed")
	groups  = flag.String("groups", "inventory-service,notification-service,analytics-service", "who reads them")
	timeout = flag.Duration("timeout", 2*time.Minute, "how long it may take")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()

	// Orders of this run begin alike, so that those of earlier runs are told apart.
	run := fmt.Sprintf("order-%d-", time.Now().UnixMilli())
	if err := place(ctx, run); err != nil {
		log.Fatalf("placing orders: %v", err)
	}
	fmt.Printf("placed %d orders\n", *orders)

	var services sync.WaitGroup
	var failed atomic.Bool
	for _, group := range strings.Split(*groups, ",") {
		services.Go(func() {
			partitions, err := handle(ctx, group, run)
			if err != nil {
				failed.Store(true)
				log.Printf("%s: %v", group, err)
				return
			}
			fmt.Printf("%-21s saw %d orders from %d partitions\n", group, *orders, partitions)
		})
	}
	services.Wait()
	if failed.Load() {
		os.Exit(1)
	}
}

// place writes the orders; the key is the order's id, so that what happens to one order stays in order.
func place(ctx context.Context, run string) error {
	writer := &kafka.Writer{
		Addr:         kafka.TCP(*broker),
		Topic:        topic,
		Balancer:     &kafka.Hash{},
		RequiredAcks: kafka.RequireAll,
		BatchTimeout: 10 * time.Millisecond,
		MaxAttempts:  120, // two minutes: see docs/clients.md
	}
	defer writer.Close()
	messages := make([]kafka.Message, *orders)
	for i := range messages {
		id := fmt.Sprintf("%s%d", run, i)
		messages[i] = kafka.Message{
			Key:   []byte(id),
			Value: fmt.Appendf(nil, `{"id":%q,"item":"teapot","amount":%d}`, id, 1+i%5),
		}
	}
	return writer.WriteMessages(ctx, messages...)
}

// handle reads as a member of a group until all orders of this run were seen.
func handle(ctx context.Context, group, run string) (partitions int, err error) {
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers:     []string{*broker},
		Topic:       topic,
		GroupID:     group,
		StartOffset: kafka.FirstOffset,
		MaxWait:     500 * time.Millisecond,
	})
	defer reader.Close()
	seen := map[string]bool{}
	from := map[int]bool{}
	for len(seen) < *orders {
		message, err := reader.ReadMessage(ctx)
		if err != nil {
			return 0, fmt.Errorf("after %d of %d orders: %w", len(seen), *orders, err)
		}
		if id := string(message.Key); strings.HasPrefix(id, run) {
			seen[id] = true
			from[message.Partition] = true
		}
	}
	return len(from), nil
}
