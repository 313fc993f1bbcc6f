import NATSClient
import Testing

@testable import JetStreamLog

@Suite("Publish window")
struct JetStreamWindowTests {
  private static let parameters = PublishWindow.Parameters(
    capacity: 8, ackTimeoutMs: 100, deadlineMs: 500, pauseMs: 10)

  /// Sends everything that may go out now; probes come out as negative numbers.
  private static func send(_ window: inout PublishWindow, now: Int64) -> [Int] {
    var sent: [Int] = []
    while let copy = window.next(now: now) {
      window.sent(copy, now: now)
      sent.append(copy.isProbe ? -Int(copy.id) : Int(copy.id))
    }
    return sent
  }

  private static func stored(
    _ id: UInt64, _ window: inout PublishWindow, isProbe: Bool = false, now: Int64 = 0
  ) -> Bool {
    window.stored(.init(id: id, isProbe: isProbe), now: now)
  }

  private static func expired(_ window: inout PublishWindow, now: Int64) -> [UInt64] {
    window.expire(now: now).map(\.id)
  }

  private static func window(_ frames: [(UInt64, String)]) -> PublishWindow {
    var window = PublishWindow(parameters)
    for (id, stream) in frames { window.add(id, stream: stream, now: 0) }
    return window
  }

  @Test("the first frame of a stream goes alone; its ack lets the others out in order")
  func probing() {
    var window = Self.window([(1, "a"), (2, "a"), (3, "b"), (4, "a")])
    #expect(Self.send(&window, now: 0) == [1, 3])
    #expect(Self.send(&window, now: 0) == [])
    #expect(Self.stored(1, &window))
    #expect(Self.send(&window, now: 0) == [2, 4])
    #expect(window.count == 3)
    #expect(!Self.stored(1, &window))
  }

  @Test("a missing ack sends the oldest again; its ack shows a loss, and all are sent again")
  func missingAck() {
    var window = Self.window([(1, "a"), (2, "a"), (3, "a"), (4, "a")])
    #expect(Self.send(&window, now: 0) == [1])
    #expect(Self.stored(1, &window))
    #expect(Self.send(&window, now: 5) == [2, 3, 4])
    #expect(window.nextTime(after: 5) == 105)
    #expect(Self.send(&window, now: 104) == [])
    #expect(Self.send(&window, now: 105) == [-2])
    #expect(Self.send(&window, now: 204) == [])
    #expect(Self.send(&window, now: 205) == [-2])
    #expect(Self.stored(2, &window, isProbe: true, now: 206))
    #expect(Self.send(&window, now: 206) == [3, 4])
  }

  @Test("the ack of the first copy after a probe shows a slow server, and nothing is sent again")
  func slowServer() {
    var window = Self.window([(1, "a"), (2, "a"), (3, "a"), (4, "a")])
    _ = Self.send(&window, now: 0)
    #expect(Self.stored(1, &window))
    #expect(Self.send(&window, now: 0) == [2, 3, 4])
    #expect(Self.send(&window, now: 100) == [-2])
    #expect(Self.stored(2, &window, now: 150))
    #expect(Self.send(&window, now: 150) == [])
    // The next one has its full time from the moment it became the oldest.
    #expect(window.nextTime(after: 150) == 250)
    #expect(Self.stored(3, &window, now: 240))
    #expect(!Self.stored(2, &window, isProbe: true, now: 241))
    #expect(Self.send(&window, now: 339) == [])
    #expect(Self.send(&window, now: 340) == [-4])
  }

  @Test("a hole in the acks is probed although later ones come")
  func hole() {
    var window = Self.window([(1, "a"), (2, "a"), (3, "a"), (4, "a")])
    _ = Self.send(&window, now: 0)
    #expect(Self.stored(1, &window))
    #expect(Self.send(&window, now: 0) == [2, 3, 4])
    #expect(Self.stored(3, &window, now: 60))
    #expect(Self.stored(4, &window, now: 99))
    #expect(Self.send(&window, now: 100) == [-2])
  }

  @Test("a refusal that may pass waits a pause and then begins with the oldest")
  func refusal() {
    var window = Self.window([(1, "a"), (2, "a")])
    #expect(Self.send(&window, now: 0) == [1])
    window.refused(1, reason: "starting", now: 3)
    #expect(Self.send(&window, now: 12) == [])
    #expect(window.nextTime(after: 12) == 13)
    #expect(Self.send(&window, now: 13) == [1])
    #expect(Self.stored(1, &window))
    #expect(Self.send(&window, now: 13) == [2])
  }

  @Test("a new session sends everything again, each stream with its oldest first")
  func newSession() {
    var window = Self.window([(1, "a"), (2, "a"), (3, "b"), (4, "b")])
    _ = Self.send(&window, now: 0)
    #expect(Self.stored(1, &window))
    #expect(Self.stored(3, &window))
    #expect(Self.send(&window, now: 1) == [2, 4])
    window.sessionBegan()
    #expect(Self.send(&window, now: 2) == [2, 4])
  }

  @Test("an ack that comes after the decision to send again still counts")
  func lateAck() {
    var window = Self.window([(1, "a"), (2, "a"), (3, "a")])
    _ = Self.send(&window, now: 0)
    #expect(Self.stored(1, &window))
    _ = Self.send(&window, now: 0)
    window.sessionBegan()
    #expect(Self.stored(2, &window))
    #expect(Self.send(&window, now: 1) == [3])
  }

  @Test("a frame past its deadline is given up with the last refusal, the others go on")
  func deadline() {
    var window = Self.window([(1, "a")])
    window.add(2, stream: "a", now: 300)
    #expect(Self.send(&window, now: 300) == [1])
    window.refused(1, reason: "no stream", now: 310)
    let expired = window.expire(now: 500)
    #expect(expired.map(\.id) == [1])
    #expect(expired.first?.refusal == "no stream")
    #expect(Self.send(&window, now: 500) == [2])
    #expect(Self.expired(&window, now: 799).isEmpty)
    #expect(Self.expired(&window, now: 800) == [2])
    #expect(window.count == 0)
    #expect(window.nextTime(after: 800) == nil)
  }

  @Test("any order of losses, refusals, late acks and new sessions stores in order, each once")
  func anyOrder() {
    for seed in UInt64(1)...200 {
      var random = SplitMix(state: seed)
      var window = PublishWindow(
        .init(capacity: 8, ackTimeoutMs: 100, deadlineMs: 1_000_000, pauseMs: 10))
      var stored: [UInt64] = []  // The server's stream.
      var acks: [PublishWindow.Send] = []  // On their way back.
      var added: UInt64 = 0
      var isRefusing = false
      var now: Int64 = 0
      while stored.count < 50 || window.count > 0 {
        now += Int64(random.next() % 20)
        if added < 50, window.count < 8 {
          added += 1
          window.add(added, stream: "a", now: now)
        }
        switch random.next() % 12 {
        case 0: isRefusing.toggle()
        case 1:
          // A connection is lost: what the server had read it stored, acks on their way are lost.
          acks.removeAll()
          window.sessionBegan()
        default: break
        }
        while let copy = window.next(now: now) {
          window.sent(copy, now: now)
          if isRefusing {
            window.refused(copy.id, reason: "not now", now: now)
          } else {
            if !stored.contains(copy.id) { stored.append(copy.id) }
            if random.next() % 8 != 0 { acks.append(copy) }
          }
        }
        while !acks.isEmpty, random.next() % 3 != 0 {
          _ = window.stored(acks.removeFirst(), now: now)
        }
        #expect(Self.expired(&window, now: now).isEmpty)
        if now > 900_000 {
          Issue.record("no progress with seed \(seed)")
          return
        }
      }
      #expect(stored == Array(1...50), "seed \(seed)")
    }
  }

  private struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
  }

  @Test("acknowledgements are understood and sorted into what helps")
  func acks() {
    func ack(_ text: String) -> PubAck { PubAck(JSONSlice(Array(text.utf8))) }
    #expect(
      ack(#"{"stream":"events-00","seq":12}"#) == .stored(sequence: 12, duplicate: false))
    #expect(
      ack(#"{"stream":"events-00","seq":12,"duplicate":true,"domain":"x"}"#)
        == .stored(sequence: 12, duplicate: true))
    func error(_ code: Int, _ number: Int, _ text: String) -> PubAck {
      ack(#"{"error":{"code":\#(code),"err_code":\#(number),"description":"\#(text)"}}"#)
    }
    let full = [
      (10_077, "maximum bytes exceeded"), (10_047, "insufficient storage resources available"),
      (10_023, "insufficient resources"), (10_002, "resource limits exceeded for account"),
    ]
    for (number, text) in full {
      #expect(error(503, number, text) == .full("\(text) (JetStream error \(number))"))
    }
    #expect(
      error(503, 10_077, "disk failed") == .retriable("disk failed (JetStream error 10077)"))
    #expect(error(503, 10_008, "not ready") == .retriable("not ready (JetStream error 10008)"))
    #expect(error(429, 10_167, "too many") == .retriable("too many (JetStream error 10167)"))
    // How a stream that was closed for a new generation answers; see Docs/decisions/0010.
    #expect(error(400, 10_054, "too big") == .sealed("too big (JetStream error 10054)"))
    #expect(error(400, 10_060, "wrong") == .refused("wrong (JetStream error 10060)"))
    for text in ["", "{", "[]", "null", #"{"seq":0}"#, "\u{0}"] {
      #expect(
        ack(text) == .retriable("an answer that is no JetStream acknowledgement"), "\(text)")
    }
  }

  @Test("sequences and time are read from both forms of the delivery subject")
  func deliverySubject() {
    func parse(_ text: String) -> DeliverySubject? {
      var text = text
      return text.withUTF8 { DeliverySubject($0) }
    }
    let time = "1700000000123456789"
    for subject in [
      "$JS.ACK.events-00.reader_x.1.42.7.\(time).3",
      "$JS.ACK.hub.ACCHASH.events-00.reader_x.1.42.7.\(time).3",
      "$JS.ACK.hub.ACCHASH.events-00.reader_x.1.42.7.\(time).3.random",
    ] {
      let delivery = parse(subject)
      #expect(delivery?.streamSequence == 42)
      #expect(delivery?.consumerSequence == 7)
      #expect(delivery?.storedAt == 1_700_000_000_123_456)
      #expect(delivery?.pending == 3)
    }
    for subject in [
      "", "_INBOX.abc", "$JS.ACK.a.b.1.2.3.4", "$JS.ACK.a.b.1.x.3.4.5", "$JS.ACK.a.b.1..3.4.5",
      "$JS.ACK.a.b.1.99999999999999999999999.3.4.5", "$JS.ACK.a.b.1.0.3.4.5", "........",
    ] {
      #expect(parse(subject) == nil, "\(subject)")
    }
  }
}
