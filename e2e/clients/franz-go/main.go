// The order story's client in twmb/franz-go. Verbs and lines are described in ../README.md.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"log"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type record struct {
	N         int64             `json:"n"`
	Key       *string           `json:"key"`
	Value     string            `json:"value"`
	Headers   map[string]string `json:"headers"`
	Timestamp int64             `json:"timestamp"`
}

var (
	output sync.Mutex
	lines  = json.NewEncoder(os.Stdout)
)

func say(line map[string]any) {
	output.Lock()
	defer output.Unlock()
	if err := lines.Encode(line); err != nil {
		log.Fatal(err)
	}
}

func connect(broker string, options ...kgo.Opt) *kgo.Client {
	options = append(options, kgo.SeedBrokers(strings.Split(broker, ",")...), kgo.WithLogger(kgo.BasicLogger(os.Stderr, kgo.LogLevelWarn, nil)))
	client, err := kgo.NewClient(options...)
	if err != nil {
		log.Fatal(err)
	}
	return client
}

func produce(broker, topic string) {
	// A program that waits for seconds after a broker has gone would not show how long the brokers take.
	client := connect(broker, kgo.DefaultProduceTopic(topic),
		kgo.MetadataMinAge(50*time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }))
	failed := false
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		var r record
		if err := json.Unmarshal(input.Bytes(), &r); err != nil {
			log.Fatal(err)
		}
		sent := &kgo.Record{Value: []byte(r.Value)}
		if r.Key != nil {
			sent.Key = []byte(*r.Key)
		}
		for name, value := range r.Headers {
			sent.Headers = append(sent.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
		}
		if r.Timestamp > 0 {
			sent.Timestamp = time.UnixMilli(r.Timestamp)
		}
		client.Produce(context.Background(), sent, func(acked *kgo.Record, err error) {
			if err != nil {
				failed = true
				say(map[string]any{"event": "failed", "n": r.N, "error": err.Error()})
				return
			}
			say(map[string]any{"event": "acked", "n": r.N, "partition": acked.Partition, "offset": acked.Offset})
		})
	}
	if err := client.Flush(context.Background()); err != nil {
		log.Fatal(err)
	}
	client.Close()
	if failed {
		os.Exit(1)
	}
}

// fetched tells which broker each batch came from.
type fetched struct{}

func (fetched) OnFetchBatchRead(broker kgo.BrokerMetadata, _ string, partition int32, batch kgo.FetchBatchMetrics) {
	say(map[string]any{"event": "fetched", "broker": broker.NodeID, "partition": partition, "records": batch.NumRecords})
}

func consume(broker, topic, group string, session, heartbeat time.Duration, rack ...string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	// The callbacks run one at a time.
	owned := map[int32]bool{}
	change := func(owns bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
			for _, partition := range topics[topic] {
				if owns {
					owned[partition] = true
				} else {
					delete(owned, partition)
				}
			}
			partitions := slices.AppendSeq([]int32{}, maps.Keys(owned))
			slices.Sort(partitions)
			say(map[string]any{"event": "owns", "partitions": partitions})
		}
	}
	var where []kgo.Opt
	for _, rack := range rack {
		where = append(where, kgo.Rack(rack), kgo.WithHooks(fetched{}))
	}
	client := connect(broker, append(where,
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic),
		kgo.SessionTimeout(session),
		kgo.HeartbeatInterval(heartbeat),
		kgo.OnPartitionsAssigned(change(true)),
		kgo.OnPartitionsRevoked(func(ctx context.Context, client *kgo.Client, topics map[string][]int32) {
			if err := client.CommitUncommittedOffsets(ctx); err != nil {
				log.Print(err)
			}
			change(false)(ctx, client, topics)
		}),
		kgo.OnPartitionsLost(change(false)),
	)...)
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			break
		}
		fetches.EachError(func(_ string, partition int32, err error) { log.Printf("partition %d: %v", partition, err) })
		fetches.EachRecord(func(r *kgo.Record) {
			line := map[string]any{
				"event": "record", "partition": r.Partition, "offset": r.Offset,
				"key": nil, "value": string(r.Value), "timestamp": r.Timestamp.UnixMilli(),
			}
			if r.Key != nil {
				line["key"] = string(r.Key)
			}
			headers := map[string]string{}
			for _, header := range r.Headers {
				headers[header.Key] = string(header.Value)
			}
			line["headers"] = headers
			say(line)
		})
	}
	if err := client.CommitUncommittedOffsets(context.Background()); err != nil {
		log.Fatal(err)
	}
	client.Close()
}

func rewind(broker, topic, group string) {
	ctx := context.Background()
	admin := kadm.NewClient(connect(broker))
	first, err := admin.ListStartOffsets(ctx, topic)
	if err != nil {
		log.Fatal(err)
	}
	offsets := first.Offsets()
	if err := admin.CommitAllOffsets(ctx, group, offsets); err != nil {
		log.Fatal(err)
	}
	say(map[string]any{"event": "rewound", "partitions": len(offsets[topic])})
	admin.Close()
}

func milliseconds(text string) time.Duration {
	number, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return time.Duration(number) * time.Millisecond
}

func main() {
	arguments := os.Args[1:]
	switch arguments[0] {
	case "produce":
		produce(arguments[1], arguments[2])
	case "consume":
		consume(arguments[1], arguments[2], arguments[3], milliseconds(arguments[4]), milliseconds(arguments[5]), arguments[6:]...)
	case "rewind":
		rewind(arguments[1], arguments[2], arguments[3])
	}
}
