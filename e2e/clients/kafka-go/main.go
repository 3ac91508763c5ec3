// The order story's client in segmentio/kafka-go: a Writer and a Reader as its tutorials have them.
// Verbs and lines are described in ../README.md.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
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

func produce(broker, topic string) error {
	failed := false
	writer := &kafka.Writer{
		Addr:         kafka.TCP(strings.Split(broker, ",")...),
		Topic:        topic,
		Balancer:     &kafka.Hash{},
		RequiredAcks: kafka.RequireAll,
		BatchTimeout: 10 * time.Millisecond,
		// Two minutes, as long as Kafka's own producer tries. The default of 10 is over after 7.4 s, and this
		// client may not ask for 12 s who leads: at random moments up to 6 s apart, of which one is lost if
		// it asks the broker that is gone, and not when it is told NOT_LEADER_OR_FOLLOWER (v0.4.51).
		MaxAttempts: 120,
		Completion: func(messages []kafka.Message, err error) {
			for _, message := range messages {
				if err != nil {
					failed = true
					say(map[string]any{"event": "failed", "n": message.WriterData, "error": err.Error()})
					continue
				}
				say(map[string]any{"event": "acked", "n": message.WriterData, "partition": message.Partition, "offset": message.Offset})
			}
		},
	}
	messages, broken := make(chan kafka.Message, 1000), make(chan error, 1)
	go func() { broken <- read(messages) }()
	for message := range messages {
		// What has come meanwhile goes along.
		waiting := []kafka.Message{message}
		for more := true; more && len(waiting) < 1000; {
			select {
			case message, more = <-messages:
				if more {
					waiting = append(waiting, message)
				}
			default:
				more = false
			}
		}
		if err := writer.WriteMessages(context.Background(), waiting...); err != nil {
			return err
		}
	}
	if err := <-broken; err != nil {
		return err
	}
	if err := writer.Close(); err != nil {
		return err
	}
	if failed {
		return errors.New("some records were refused")
	}
	return nil
}

// read gives what standard input says, until it ends.
func read(messages chan<- kafka.Message) error {
	defer close(messages)
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		var r record
		if err := json.Unmarshal(input.Bytes(), &r); err != nil {
			return err
		}
		message := kafka.Message{Value: []byte(r.Value), WriterData: r.N}
		if r.Key != nil {
			message.Key = []byte(*r.Key)
		}
		for name, value := range r.Headers {
			message.Headers = append(message.Headers, kafka.Header{Key: name, Value: []byte(value)})
		}
		if r.Timestamp > 0 {
			message.Time = time.UnixMilli(r.Timestamp)
		}
		messages <- message
	}
	return input.Err()
}

// The Reader tells its assignment to its Logger only, and when it is over.
type assignments struct{}

var partition = regexp.MustCompile(`partition:(\d+)`)

func (assignments) Printf(format string, arguments ...any) {
	owned := []int{}
	switch {
	case strings.HasPrefix(format, "stopped heartbeat for group"):
		// This generation is over; the next may be long in coming.
		say(map[string]any{"event": "owns", "partitions": owned})
		return
	case !strings.HasPrefix(format, "subscribed to topics and partitions"):
		return
	}
	for _, found := range partition.FindAllStringSubmatch(fmt.Sprintf(format, arguments...), -1) {
		number, _ := strconv.Atoi(found[1])
		owned = append(owned, number)
	}
	say(map[string]any{"event": "owns", "partitions": owned})
}

func consume(broker, topic, group string, session, heartbeat time.Duration) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers:           strings.Split(broker, ","),
		Topic:             topic,
		GroupID:           group,
		SessionTimeout:    session,
		HeartbeatInterval: heartbeat,
		// A fetch that waits is not cut short by a rebalance.
		MaxWait:     200 * time.Millisecond,
		Logger:      assignments{},
		ErrorLogger: kafka.LoggerFunc(log.Printf),
	})
	for {
		// ReadMessage would keep a message to itself if the commit failed, as it does when the coordinator goes.
		message, err := reader.FetchMessage(ctx)
		if errors.Is(err, context.Canceled) {
			return reader.Close()
		}
		if err != nil {
			return err
		}
		line := map[string]any{
			"event": "record", "partition": message.Partition, "offset": message.Offset,
			"key": nil, "value": string(message.Value), "timestamp": message.Time.UnixMilli(),
		}
		if message.Key != nil {
			line["key"] = string(message.Key)
		}
		headers := map[string]string{}
		for _, header := range message.Headers {
			headers[header.Key] = string(header.Value)
		}
		line["headers"] = headers
		say(line)
		// One that fails is made good by the next.
		if err := reader.CommitMessages(ctx, message); err != nil {
			log.Print(err)
			continue
		}
		say(map[string]any{"event": "committed", "partition": message.Partition, "offset": message.Offset + 1})
	}
}

// rewind commits the first offset of every partition, outside of any generation.
func rewind(broker, topic, group string) error {
	ctx := context.Background()
	client := &kafka.Client{Addr: kafka.TCP(strings.Split(broker, ",")...), Timeout: 10 * time.Second}
	metadata, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return err
	}
	var questions []kafka.OffsetRequest
	for _, partition := range metadata.Topics[0].Partitions {
		questions = append(questions, kafka.FirstOffsetOf(partition.ID))
	}
	first, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{topic: questions},
	})
	if err != nil {
		return err
	}
	var offsets []kafka.OffsetCommit
	for _, partition := range first.Topics[topic] {
		if partition.Error != nil {
			return partition.Error
		}
		offsets = append(offsets, kafka.OffsetCommit{Partition: partition.Partition, Offset: partition.FirstOffset})
	}
	committed, err := client.OffsetCommit(ctx, &kafka.OffsetCommitRequest{
		GroupID: group, GenerationID: -1, Topics: map[string][]kafka.OffsetCommit{topic: offsets},
	})
	if err != nil {
		return err
	}
	for _, partition := range committed.Topics[topic] {
		if partition.Error != nil {
			return partition.Error
		}
	}
	say(map[string]any{"event": "rewound", "partitions": len(offsets)})
	return nil
}

func milliseconds(text string) time.Duration {
	number, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return time.Duration(number) * time.Millisecond
}

func main() {
	var err error
	arguments := os.Args[1:]
	switch arguments[0] {
	case "produce":
		err = produce(arguments[1], arguments[2])
	case "consume":
		err = consume(arguments[1], arguments[2], arguments[3], milliseconds(arguments[4]), milliseconds(arguments[5]))
	case "rewind":
		err = rewind(arguments[1], arguments[2], arguments[3])
	}
	if err != nil {
		log.Fatal(err)
	}
}
