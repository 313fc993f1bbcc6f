import Events
import HTTPServer

/// What would become of the events of a request, as JSON.
struct ValidationReport {
  /// So many events are described; all are counted.
  static let eventsMax = 100
  private static let changesMax = 50

  static let answer = PreparedResponse(
    status: .ok,
    headers: [
      (name: "Content-Type", value: "application/json"), (name: "Cache-Control", value: "no-store"),
    ])

  /// The id of the write key.
  var key = ""
  /// Of the answer once everything is durable.
  var status = HTTPStatus.ok
  private let ingest: IngestProtocol
  private let endpoint: IngestEndpoint
  private var accepted = 0
  private var rejected = 0
  private var dropped = 0
  private var events: [(index: Int, json: [UInt8])] = []

  init(_ ingest: IngestProtocol, _ endpoint: IngestEndpoint) {
    self.ingest = ingest
    self.endpoint = endpoint
  }

  // MARK: Filling

  mutating func add(_ rejection: Rejection) {
    rejected += 1
    describe(rejection.index, "rejected") { json in
      json.key("code")
      json.string(rejection.code.rawValue)
      json.key("place")
      json.string(rejection.place)
      let violation = rejection.violation
      let members = [
        ("path", rejection.path), ("expected", violation?.expected ?? rejection.detail),
        ("fix", violation?.fix ?? rejection.code.fix),
      ]
      for (name, text) in members {
        json.key(name)
        json.string(text)
      }
    }
  }

  /// - Parameter read: the events in front of the gates.
  mutating func add(_ read: [IncomingEvent], _ passed: PassedGates) {
    // What the protocol refused has no gate.
    let refusedBefore = passed.rejections.filter { $0.gate == nil }
    var before: [Int: IncomingEvent] = [:]
    var places = PlacesInBatch(without: refusedBefore)
    for event in read { before[places.next()] = event }
    places = passed.places
    for event in passed.events {
      accepted += 1
      let index = places.next()
      let first = before[index]
      describe(index, "accepted") { json in
        json.key("event")
        event.writeDescription(to: &json, payload: true)
        json.key("changes")
        json.beginArray()
        for change in first.map({ Self.changes($0, event) }) ?? [] {
          json.beginObject()
          json.key("path")
          json.string(change.path)
          json.key("change")
          json.string(change.what)
          json.endObject()
        }
        json.endArray()
      }
    }
    for rejection in passed.rejections { add(rejection) }
    for drop in passed.dropped {
      dropped += 1
      describe(drop.index, "dropped") { json in
        json.key("reason")
        json.string(drop.reason)
      }
    }
  }

  private mutating func describe(
    _ index: Int, _ outcome: String, _ members: (inout JSONWriter) -> Void
  ) {
    guard events.count < Self.eventsMax else { return }
    var json = JSONWriter()
    json.beginObject()
    json.key("index")
    json.integer(index)
    json.key("outcome")
    json.string(outcome)
    members(&json)
    json.endObject()
    events.append((index, json.bytes))
  }

  // MARK: What gates change

  private typealias Change = (path: String, what: String)

  /// What is another at the end of the gates than in front of them.
  private static func changes(_ before: IncomingEvent, _ after: IncomingEvent) -> [Change] {
    var changes: [Change] = []
    let columns = [
      ("id", before.key == after.key), ("person", before.person == after.person),
      ("user", before.user == after.user), ("kind", before.kind == after.kind),
      ("name", before.name == after.name), ("time", before.eventTime == after.eventTime),
      ("dimensions", before.dimensions == after.dimensions),
      ("revenue_micros", before.revenueMicros == after.revenueMicros),
    ]
    for (name, isSame) in columns where !isSame { changes.append((name, "changed")) }
    guard before.payload != after.payload else { return changes }
    do throws(JSONError) {
      compare(
        try JSONTree(before.payload), try JSONTree(after.payload), "payload", &changes)
    } catch {
      changes.append(("payload", "changed"))
    }
    return changes
  }

  private static func isSealed(_ value: JSONTree) -> Bool {
    guard case .string(let text) = value else { return false }
    return !SealedTexts.find(in: Array(text.utf8)).isEmpty
  }

  private static func compare(
    _ before: JSONTree, _ after: JSONTree, _ path: String, _ changes: inout [Change]
  ) {
    guard before != after, changes.count < changesMax else { return }
    guard case .object(let first) = before, case .object(let second) = after else {
      if case .array(let first) = before, case .array(let second) = after,
        first.count == second.count
      {
        for (index, pair) in zip(first, second).enumerated() {
          compare(pair.0, pair.1, "\(path)[\(index)]", &changes)
        }
        return
      }
      changes.append((path, isSealed(after) ? "encrypted" : "changed"))
      return
    }
    for member in first {
      if let other = after[member.name] {
        compare(member.value, other, "\(path).\(member.name)", &changes)
      } else {
        // The name itself may have been what was removed.
        changes.append(("\(path).\(PersonalText.removed(from: member.name))", "removed"))
      }
    }
    for member in second where before[member.name] == nil {
      changes.append(("\(path).\(member.name)", "added"))
    }
  }

  // MARK: As JSON

  var json: [UInt8] {
    var json = JSONWriter(reserving: 512)
    json.beginObject()
    let texts = [
      ("path", endpoint.path), ("method", endpoint.method.name), ("protocol", ingest.name),
      ("key", key),
    ]
    for (name, text) in texts {
      json.key(name)
      json.string(text)
    }
    json.key("would_answer")
    json.integer(status.code)
    for (name, count) in [("accepted", accepted), ("rejected", rejected), ("dropped", dropped)] {
      json.key(name)
      json.integer(count)
    }
    json.key("events")
    json.beginArray()
    for event in events.sorted(by: { $0.index < $1.index }) {
      event.json.withUnsafeBytes { json.raw($0) }
    }
    json.endArray()
    json.endObject()
    return json.bytes
  }
}
