import Collector
import DecisionAPI
import Events
import HTTPServer

/// The way of decisions into the log: that of the collector's events.
enum DecisionLog {
  static func store(_ pipeline: IngestPipeline) -> DecisionStore {
    { events, completion in
      pipeline.submit(events) { outcome in
        switch outcome {
        case .stored(let position): completion(.stored(position.description))
        case .spooled: completion(.stored(nil))
        case .overloaded: completion(.refused)
        case .unavailable: completion(.unavailable)
        }
      }
    }
  }
}

/// The collector's write keys as decisions ask for them.
struct CollectorDoor: DecisionDoor {
  private let door: WriteKeyDoor

  init(_ door: WriteKeyDoor) { self.door = door }

  func admit(_ call: DecisionCall, named: String?) throws(Problem) -> any DecisionGuest {
    CollectorGuest(
      guest: try door.admit(
        named: named, query: call.query, address: call.address, header: call.header))
  }

  func postHogJSON(query: String, body: [UInt8]) -> [UInt8]? {
    PostHogRequest.json(query: query, body: body)
  }

  var postHogSettings: [(name: String, json: String)] { PostHogSettings.members }
}

private struct CollectorGuest: DecisionGuest {
  let guest: WriteKeyGuest

  var site: String { guest.site }

  func person(_ id: String) -> Key128 { guest.person(id) }

  func cleaned(_ text: String) -> String { guest.cleaned(text) }

  func admits(_ event: inout IncomingEvent) -> Bool { guest.admits(&event) }
}
