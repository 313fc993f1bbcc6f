import Events
import Foundation
import JetStreamLog
import NATSClient
import Ports

/// The Yahoo Streaming Benchmark as frames in JetStream, as a collector writes them.
///
/// `ad_id` is the content of the dimension tuple, `event_type` the kind and the name, `event_time` the
/// event time, `user_id` the person; what has no column of its own (page, type of ad, ip) is in the
/// payload. The log time of a frame is the latest event time in it, as of a recorded log that is
/// copied; the last frame of each partition is a heartbeat after which every window is final.
struct YSBFrames {
  let workload: YSBWorkload
  let partitions: Int
  let eventsPerFrame: Int

  /// Publishes all events.
  ///
  /// - Returns: the seconds that it took.
  func fill(_ streams: [String], _ address: NATSAddress) throws -> Double {
    let publisher = try JetStreamPublisher(address: address, name: "bench-fill")
    let started = benchNow()
    var token: UInt64 = 0
    var failure: PublishOutcome?
    func settle(_ limit: Int) {
      while publisher.inFlight > limit {
        for completion in publisher.poll(timeoutMs: 100) {
          if case .stored = completion.outcome { continue }
          failure = completion.outcome
        }
      }
    }
    generate { partition, header, frame in
      settle(32)
      token += 1
      publisher.publish(
        stream: streams[partition], messageID: header.messageID, frame: frame, token: token)
    }
    settle(0)
    if let failure { throw BenchError("the log did not take a frame: \(failure)") }
    return Double(benchNow() - started) / 1_000_000
  }

  private final class Lane {
    var encoder = FrameEncoder()
    var sequence: UInt64 = 0
    var latest = Int64.min
  }

  /// Calls `body` with each frame's partition, header and bytes, in order.
  func generate(_ body: (Int, FrameHeader, [UInt8]) -> Void) {
    let lanes = (0..<partitions).map { _ in Lane() }
    var random = FrameWorkload.Random(state: 99)
    let producer = Key128(low: random.next(), high: random.next())
    let tuples = workload.ads.map { DimensionTuple(site: "ysb", content: $0).encoded }
    let persons = workload.users.map { EventIdentity.personKey(site: "ysb", id: $0) }
    let partitionOfUser = persons.map { KeyGroup.partition(of: $0, partitions: partitions) }
    let payloads = workload.pages.map { page in
      YSBWorkload.adTypes.map { type in
        Array(
          #"{"page_id":"\#(page)","ad_type":"\#(type)","ip_address":"\#(YSBWorkload.ipAddress)"}"#
            .utf8)
      }
    }
    func header(_ partition: Int, _ kind: FrameHeader.Kind, _ latest: Int64) -> FrameHeader {
      lanes[partition].sequence += 1
      return FrameHeader(
        kind: kind, generation: 1, partition: UInt32(partition), producer: producer, epoch: 0,
        producerSequence: lanes[partition].sequence, originalLogTime: latest)
    }
    func seal(_ partition: Int) {
      let head = header(partition, .events, lanes[partition].latest)
      body(partition, head, lanes[partition].encoder.seal(head))
    }
    for index in 0..<workload.eventCount {
      let event = workload.event(index)
      let partition = partitionOfUser[event.user]
      let time = event.timeMs * 1000
      let lane = lanes[partition]
      lane.latest = max(lane.latest, time)
      lane.encoder.append(
        IncomingEvent(
          kind: YSBWorkload.kinds[event.eventType],
          key: Key128(low: random.next() | 1, high: random.next()), person: persons[event.user],
          eventTime: time, receivedAt: time, dimensions: tuples[event.ad], id: "\(index)",
          name: YSBWorkload.eventTypes[event.eventType], source: "ysb",
          payload: payloads[event.page][event.adType]))
      if lane.encoder.count == eventsPerFrame { seal(partition) }
    }
    for partition in 0..<partitions {
      if lanes[partition].encoder.count > 0 { seal(partition) }
      let head = header(partition, .heartbeat, lanes[partition].latest + 3_600_000_000)
      body(partition, head, FrameEncoder.heartbeat(head))
    }
  }
}

/// Microseconds of a clock that never goes back.
func benchNow() -> Int64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
}
