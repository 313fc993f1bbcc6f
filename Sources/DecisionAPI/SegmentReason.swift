import Events
import HTTPServer
import Learning
import Operators
import Statistics

/// Why a person is in a segment or a cluster, or is not, as `GET /v1/segments/{id}/why?person=ann` says it.
///
///     {"segment":"loyal","kind":"rule","person":"ann","in":true,"rule":"all: [frequency >= 5, recency <= 14d]",
///      "conditions":[{"condition":"frequency >= 5","value":6.2,"holds":true},…],"changes_at":"…",
///      "alternatives":[{"segment":"lapsing","in":false,"missing":["recency > 14d"]}],
///      "events":[{"kind":"click","at":"…","position":"1~0.12"}],"reasons":["…"],"as_of":"…","position":"…","complete":true}
///
/// Of a cluster, instead of conditions: how far the person is from its center in each feature, and as alternatives the other
/// clusters with their distances and odds, as of a mixture of equal spreads.
enum SegmentReason {
  private static let contributionsMax = 10

  static func rule(
    _ place: Int, person: String, _ found: ProfileBoard.Found, _ policy: ProfilePolicy
  ) -> [UInt8] {
    let rule = policy.segments[place]
    func number(_ name: String) -> Int? { found.names.firstIndex(of: name) }
    let (isIn, nextChange) = rule.state(for: found.view, policy.decay, number)
    let conditions = rule.conditions(for: found.view, number)
    var json = begun(rule.id, "rule", person, isIn)
    json.key("rule")
    json.string(rule.condition.text)
    json.key("conditions")
    json.beginArray()
    for condition in conditions {
      json.beginObject()
      json.key("condition")
      json.string(condition.text)
      json.key("value")
      switch condition.value {
      case .number(let value): json.double(value)
      case .text(let text): json.string(text)
      case .unknown: json.null()
      }
      json.key("holds")
      json.bool(condition.holds)
      json.endObject()
    }
    json.endArray()
    json.key("changes_at")
    // Beyond the times that can be written nobody waits for it.
    if nextChange < TimeRange.latest {
      json.string(Timestamp.format(nextChange))
    } else {
      json.null()
    }
    json.key("alternatives")
    json.beginArray()
    for (index, other) in policy.segments.enumerated() where index != place {
      json.beginObject()
      json.key("segment")
      json.string(other.id)
      json.key("in")
      json.bool(other.state(for: found.view, policy.decay, number).isIn)
      json.key("missing")
      json.beginArray()
      for condition in other.conditions(for: found.view, number) where !condition.holds {
        json.string(condition.text)
      }
      json.endArray()
      json.endObject()
    }
    json.endArray()
    write(found.profile.latest, to: &json)
    let failing = conditions.filter { !$0.holds }.map(\.text)
    let holding = conditions.filter(\.holds).map(\.text)
    var reasons: [String] = []
    if !holding.isEmpty { reasons.append("holds: " + holding.joined(separator: ", ")) }
    if !failing.isEmpty { reasons.append("does not hold: " + failing.joined(separator: ", ")) }
    end(reasons, found.progress, &json)
    return json.bytes
  }

  static func cluster(
    _ place: Int, _ clusters: ProfileClusters, person: String, _ found: ProfileBoard.Found
  ) -> [UInt8]? {
    let point = clusters.features.point(found.view)
    guard let own = clusters.clusters.place(of: point),
      let deviations = clusters.clusters.deviations(of: point)
    else { return nil }
    let distances = deviations.map { $0.reduce(0) { $0 + $1 * $1 } }
    let cluster = clusters.clusters.clusters[place]
    var json = begun(SegmentWriter.name(cluster), "cluster", person, own == place)
    json.key("distance")
    json.double(distances[place].squareRoot())
    let parts = deviations[place].enumerated().sorted {
      ($0.element.magnitude, $1.offset) > ($1.element.magnitude, $0.offset)
    }.prefix(contributionsMax)
    json.key("contributions")
    json.beginArray()
    for (feature, deviation) in parts {
      json.beginObject()
      json.key("feature")
      json.string(clusters.features.names[feature])
      json.key("value")
      json.double(point[feature])
      json.key("center")
      json.double(cluster.center[feature])
      json.key("deviation")
      json.double(deviation)
      json.endObject()
    }
    json.endArray()
    json.key("alternatives")
    json.beginArray()
    let nearestFirst = distances.indices.sorted { distances[$0] < distances[$1] }
    for other in nearestFirst where other != place {
      json.beginObject()
      json.key("segment")
      json.string(SegmentWriter.name(clusters.clusters.clusters[other]))
      json.key("in")
      json.bool(own == other)
      json.key("distance")
      json.double(distances[other].squareRoot())
      json.key("odds")
      json.double(Elementary.exp(min(700, (distances[place] - distances[other]) / 2)))
      json.endObject()
    }
    json.endArray()
    write(found.profile.latest, to: &json)
    let farthest = parts.first.map { clusters.features.names[$0.offset] } ?? ""
    end(
      [
        own == place
          ? "nearest to the center of this cluster of all"
          : "nearer to the center of \(SegmentWriter.name(clusters.clusters.clusters[own]))",
        "what is farthest from its center is \(farthest)",
      ], found.progress, &json)
    return json.bytes
  }

  // MARK: Parts

  private static func begun(
    _ segment: String, _ kind: String, _ person: String, _ isIn: Bool
  ) -> JSONWriter {
    var json = JSONWriter(reserving: 4_096)
    json.beginObject()
    for (key, text) in [("segment", segment), ("kind", kind), ("person", person)] {
      json.key(key)
      json.string(text)
    }
    json.key("in")
    json.bool(isIn)
    return json
  }

  private static func write(_ events: [ProfileEvidence], to json: inout JSONWriter) {
    json.key("events")
    json.beginArray()
    for event in events.reversed() {
      json.beginObject()
      json.key("kind")
      json.string(event.kind.name)
      json.key("at")
      json.string(Timestamp.format(event.at))
      json.key("position")
      json.string(event.place.position.description)
      json.endObject()
    }
    json.endArray()
  }

  private static func end(
    _ reasons: [String], _ progress: LearningProgress, _ json: inout JSONWriter
  ) {
    json.key("reasons")
    json.beginArray()
    for reason in reasons { json.string(reason) }
    json.endArray()
    LearnedQuery.write(progress, to: &json)
    json.endObject()
  }
}
