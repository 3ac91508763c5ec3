// The client of failover trials and of the nemesis, in twmb/franz-go. Verbs and lines are described in
// ../README.md.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// Whoever waits for ten seconds, as is the default, does not show how long the brokers take. Five
	// requests to a silent broker are given up one after the other, with two dials each, before another
	// leader is sent anything: ten times the overhead.
	patience = 50 * time.Millisecond
	timeout  = time.Second
	overhead = 100 * time.Millisecond
	// How old it lets become what it knows of leaders.
	refresh = 250 * time.Millisecond
	// How often records are handed to the client.
	tick = 5 * time.Millisecond
	// How long the last acknowledgements may take.
	last = 60 * time.Second
	// How many records may wait for their acknowledgement: half a minute without brokers.
	waiting = 200_000
	// More than a topic takes that nobody has set (1 MiB), and how often that much is sent.
	tooLarge    = 1_200_000
	refuseEvery = 500 * time.Millisecond
)

var (
	output sync.Mutex
	buffer = bufio.NewWriter(os.Stdout)
	lines  = json.NewEncoder(buffer)
)

type line map[string]any

func say(said line) {
	output.Lock()
	defer output.Unlock()
	if err := lines.Encode(said); err != nil {
		log.Fatal(err)
	}
	if err := buffer.Flush(); err != nil {
		log.Fatal(err)
	}
}

func now() int64 { return time.Now().UnixMicro() }

func connect(brokers string, options ...kgo.Opt) *kgo.Client {
	return open(brokers, append(options,
		kgo.WithLogger(kgo.BasicLogger(os.Stderr, kgo.LogLevelWarn, nil)),
		kgo.MetadataMaxAge(refresh),
		kgo.RequestTimeoutOverhead(overhead),
		kgo.DialTimeout(overhead))...)
}

func open(brokers string, options ...kgo.Opt) *kgo.Client {
	options = append(options,
		kgo.SeedBrokers(strings.Split(brokers, ",")...),
		kgo.MetadataMinAge(patience),
		kgo.RetryBackoffFn(func(int) time.Duration { return patience }))
	client, err := kgo.NewClient(options...)
	if err != nil {
		log.Fatal(err)
	}
	return client
}

// inputEnds is closed when the program's input is: it is time to stop.
func inputEnds() <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
			log.Print(err)
		}
		close(ended)
	}()
	return ended
}

// send sends so many records per second, one partition after the other, until its input ends.
func send(brokers, topic string, partitions int, producer uint64, rate int, acks string) {
	options := []kgo.Opt{
		kgo.DefaultProduceTopic(topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProduceRequestTimeout(timeout),
		kgo.MaxBufferedRecords(waiting),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		// A topic that a broker does not know yet, or not any more, is a fault like others.
		kgo.UnknownTopicRetries(-1),
	}
	if acks == "1" {
		options = append(options, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	}
	client := connect(brokers, options...)
	ended := inputEnds()
	ticker := time.NewTicker(tick)
	next := make([]uint64, partitions)
	begun, sent := time.Now(), 0
	for {
		select {
		case <-ended:
			ctx, cancel := context.WithTimeout(context.Background(), last)
			defer cancel()
			if err := client.Flush(ctx); err != nil {
				log.Printf("some records were never acknowledged: %v", err)
			}
			numbers := line{"event": "sent", "next": next}
			say(numbers)
			os.Exit(0)
		case <-ticker.C:
		}
		due := int(time.Since(begun).Seconds() * float64(rate))
		for ; sent < due; sent++ {
			partition := sent % partitions
			number := next[partition]
			// Full, or a client that gave up: the number is not used, and tried again later.
			record := &kgo.Record{Partition: int32(partition), Value: value(producer, partition, number)}
			if client.BufferedProduceRecords() >= waiting {
				break
			}
			next[partition]++
			client.Produce(context.Background(), record, func(r *kgo.Record, err error) {
				if err != nil {
					say(line{"event": "failed", "at": now(), "partition": r.Partition, "number": number, "error": err.Error()})
					return
				}
				say(line{"event": "acked", "at": now(), "partition": r.Partition, "number": number, "offset": r.Offset})
			})
		}
	}
}

// sendTooLarge sends records that must be refused, one after the other, until its input ends.
func sendTooLarge(brokers, topic string, partitions int, producer uint64) {
	client := connect(brokers,
		kgo.DefaultProduceTopic(topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProduceRequestTimeout(timeout),
		kgo.ProducerBatchMaxBytes(2*tooLarge),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.UnknownTopicRetries(-1))
	ctx, stop := context.WithCancel(context.Background())
	ended := inputEnds()
	go func() {
		<-ended
		stop()
	}()
	pace := time.NewTicker(refuseEvery)
	for number := uint64(0); ctx.Err() == nil; number++ {
		partition := int(number) % partitions
		large := append(value(producer, partition, number), make([]byte, tooLarge)...)
		record := &kgo.Record{Partition: int32(partition), Value: large}
		err := client.ProduceSync(ctx, record).FirstErr()
		said := line{"at": now(), "partition": partition, "number": number}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			said["event"], said["offset"] = "acked", record.Offset
		case errors.Is(err, kerr.MessageTooLarge):
			said["event"] = "refused"
		default:
			said["event"], said["error"] = "failed", err.Error()
		}
		say(said)
		<-pace.C
	}
}

// each sends one record to each partition of all topics whenever a line comes in, until its input ends. Partitions
// are counted through from the first topic to the last. It is as patient with answers as clients are by default.
func each(brokers string, topics []string, partitions int) {
	client := open(brokers,
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MaxBufferedRecords(waiting),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.UnknownTopicRetries(-1))
	rounds := bufio.NewScanner(os.Stdin)
	for round := uint64(0); rounds.Scan(); round++ {
		for index := range partitions * len(topics) {
			record := &kgo.Record{
				Topic:     topics[index/partitions],
				Partition: int32(index % partitions),
				Value:     value(1, index, round),
			}
			client.Produce(context.Background(), record, func(r *kgo.Record, err error) {
				if err != nil {
					say(line{"event": "failed", "at": now(), "partition": index, "number": round, "error": err.Error()})
					return
				}
				say(line{"event": "acked", "at": now(), "partition": index, "number": round, "offset": r.Offset})
			})
		}
	}
}

// value holds who sent it, to which partition, and as which record there.
func value(producer uint64, partition int, number uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, producer<<56|uint64(partition)<<40|number)
}

func offsetsOf(topic string, partitions int, at kgo.Offset) kgo.Opt {
	offsets := map[int32]kgo.Offset{}
	for partition := range partitions {
		offsets[int32(partition)] = at
	}
	return kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets})
}

// sayRead tells what a poll gave, partition by partition.
func sayRead(fetches kgo.Fetches) {
	fetches.EachError(func(_ string, partition int32, err error) {
		log.Printf("partition %d: %v", partition, err)
		var loss *kgo.ErrDataLoss
		if errors.As(err, &loss) {
			say(line{"event": "loss", "partition": partition, "detail": err.Error()})
		}
	})
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if len(p.Records) == 0 {
			return
		}
		records := make([][2]uint64, 0, len(p.Records))
		for _, r := range p.Records {
			records = append(records, [2]uint64{uint64(r.Offset), binary.BigEndian.Uint64(r.Value)})
		}
		say(line{"event": "read", "at": now(), "partition": p.Partition, "records": records})
	})
}

// read reads all partitions from their beginning, until its input ends; or as far as they went when it began.
func read(brokers, topic string, partitions int, onlyToEnd bool) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	left := map[int32]int64{}
	if onlyToEnd {
		admin := kadm.NewClient(connect(brokers))
		ends, err := admin.ListEndOffsets(ctx, topic)
		if err == nil {
			err = ends.Error()
		}
		if err != nil {
			log.Fatal(err)
		}
		ends.Each(func(end kadm.ListedOffset) {
			say(line{"event": "end", "partition": end.Partition, "offset": end.Offset})
			if end.Offset > 0 {
				left[end.Partition] = end.Offset
			}
		})
		admin.Close()
		if len(left) == 0 {
			return
		}
	}
	client := connect(brokers, offsetsOf(topic, partitions, kgo.NewOffset().AtStart()))
	ended := inputEnds()
	go func() {
		<-ended
		stop()
	}()
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			os.Exit(0)
		}
		sayRead(fetches)
		fetches.EachRecord(func(r *kgo.Record) {
			if end, ok := left[r.Partition]; ok && r.Offset+1 >= end {
				delete(left, r.Partition)
			}
		})
		if onlyToEnd && len(left) == 0 {
			os.Exit(0)
		}
	}
}

// group reads as a member, and commits after each poll what it read.
func group(brokers, topic, name string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	change := func(event string) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
			if partitions := topics[topic]; len(partitions) > 0 {
				say(line{"event": event, "at": now(), "partitions": partitions})
			}
		}
	}
	client := connect(brokers,
		kgo.ConsumerGroup(name),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(kgo.RangeBalancer()),
		kgo.SessionTimeout(6*time.Second),
		kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(change("assigned")),
		kgo.OnPartitionsRevoked(change("revoked")),
		kgo.OnPartitionsLost(change("revoked")))
	for {
		fetches := client.PollRecords(ctx, 5000)
		if ctx.Err() != nil {
			break
		}
		sayRead(fetches)
		within, cancel := context.WithTimeout(ctx, 4*time.Second)
		client.CommitOffsetsSync(within, client.UncommittedOffsets(), committed)
		cancel()
		client.AllowRebalance()
	}
	client.CloseAllowingRebalance()
}

// committed tells which offsets the coordinator has taken.
func committed(_ *kgo.Client, request *kmsg.OffsetCommitRequest, response *kmsg.OffsetCommitResponse, err error) {
	if err != nil {
		log.Printf("cannot commit: %v", err)
		return
	}
	asked := map[int32]int64{}
	for _, topic := range request.Topics {
		for _, partition := range topic.Partitions {
			asked[partition.Partition] = partition.Offset
		}
	}
	for _, topic := range response.Topics {
		for _, partition := range topic.Partitions {
			if err := kerr.ErrorForCode(partition.ErrorCode); err != nil {
				log.Printf("partition %d: cannot commit: %v", partition.Partition, err)
				continue
			}
			say(line{"event": "committed", "at": now(), "partition": partition.Partition, "offset": asked[partition.Partition]})
		}
	}
}

func number(text string) int {
	number, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return number
}

func main() {
	a := os.Args[1:]
	switch a[0] {
	case "send":
		send(a[1], a[2], number(a[3]), uint64(number(a[4])), number(a[5]), a[6])
	case "send-too-large":
		sendTooLarge(a[1], a[2], number(a[3]), uint64(number(a[4])))
	case "each":
		each(a[1], strings.Split(a[2], ","), number(a[3]))
	case "read":
		read(a[1], a[2], number(a[3]), false)
	case "read-to-end":
		read(a[1], a[2], number(a[3]), true)
	case "group":
		group(a[1], a[2], a[3])
	}
}
