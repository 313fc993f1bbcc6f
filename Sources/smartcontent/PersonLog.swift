import Dataflow
import Events
import Ports

/// The events of one site in the whole log, archive and dead letters included, by whose they are.
struct PersonLog {
  struct Place {
    var stream: String
    var sequence: UInt64
    var index: Int
    var isDeadLetter: Bool
  }

  /// An event, or what a dead letter has of one that a gate refused.
  struct Owned {
    var event: IncomingEvent

    /// Whose key its personal data is encrypted with: the user's where one is known, else the device's.
    var owner: Key128 { event.user == .zero ? event.person : event.user }
  }

  let log: any EventLog
  let streams: [StreamPartition]
  let site: String

  /// Frames that cannot be read are left out.
  func forEach(_ body: (Place, Owned) throws -> Void) throws {
    for stream in streams {
      let bounds = try log.bounds(stream: stream.stream)
      let start = max(bounds.first, 1)
      guard bounds.last >= start else { continue }
      let reader = try log.reader(stream: stream.stream, after: start - 1)
      var sequence = start - 1
      while sequence < bounds.last {
        for frame in try reader.next(timeoutMs: 1_000) where frame.sequence <= bounds.last {
          sequence = frame.sequence
          for (index, event, isDeadLetter) in Self.events(of: frame) where isOfSite(event) {
            try body(
              Place(
                stream: stream.stream, sequence: sequence, index: index, isDeadLetter: isDeadLetter),
              Owned(event: event))
          }
        }
      }
    }
  }

  private func isOfSite(_ event: IncomingEvent) -> Bool {
    event.dimensions.withUnsafeBytes { DimensionTuple(encoded: $0)?.site } == site
  }

  private static func events(
    of frame: any StoredFrame
  ) -> [(index: Int, event: IncomingEvent, isDeadLetter: Bool)] {
    do throws(FrameError) {
      let view = try FrameView(frame.bytes)
      switch view.header.kind {
      case .events:
        return (0..<view.count).map { ($0, IncomingEvent(view, event: $0), false) }
      case .deadLetters:
        return (0..<view.count).compactMap { index in
          do throws(JSONError) {
            let letter = try DeadLetter(payload: view.payload(index))
            guard var event = letter.gate?.event else { return nil }
            event.payload = letter.body
            return (index, event, true)
          } catch {
            return nil
          }
        }
      default: return []
      }
    } catch {
      return []
    }
  }

  /// Who belongs to whom, by all that the log says.
  func links() throws -> PersonLinks {
    var links = PersonLinks()
    try forEach { _, owned in links.add(owned.event) }
    return links
  }
}

/// Devices and earlier ids of users.
struct PersonLinks {
  private var persons: [Key128: Set<Key128>] = [:]

  mutating func add(_ event: IncomingEvent) {
    guard event.user != .zero, event.user != event.person else { return }
    persons[event.user, default: []].insert(event.person)
    // Two ids that an alias made one person are one from either side.
    if event.kind == .alias { persons[event.person, default: []].insert(event.user) }
  }

  /// Those and all that belong to them.
  func all(of named: Set<Key128>) -> Set<Key128> {
    var all = named
    var unseen = Array(named)
    while let next = unseen.popLast() {
      for person in persons[next] ?? [] where all.insert(person).inserted { unseen.append(person) }
    }
    return all
  }
}
