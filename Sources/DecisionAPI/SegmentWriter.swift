import Events
import Learning
import Statistics

/// Segments as JSON: those of rules, and clusters.
enum SegmentWriter {
  static func name(_ cluster: StableClusters.Cluster) -> String { "cluster-\(cluster.name)" }

  static func list(_ policy: ProfilePolicy, _ summary: ProfileBoard.Summary) -> [UInt8] {
    var json = JSONWriter(reserving: 4_096)
    json.beginObject()
    json.key("persons")
    json.integer(summary.persons)
    json.key("turned_away")
    json.integer(summary.turnedAway)
    json.key("segments")
    json.beginArray()
    for number in policy.segments.indices {
      json.beginObject()
      write(number, policy, summary, to: &json)
      json.endObject()
    }
    json.endArray()
    json.key("clusters")
    json.beginArray()
    if let clusters = summary.clusters {
      for place in clusters.clusters.clusters.indices {
        json.beginObject()
        write(place, clusters, to: &json)
        json.endObject()
      }
    }
    json.endArray()
    LearnedQuery.write(summary.progress, to: &json)
    json.endObject()
    return json.bytes
  }

  static func rule(
    _ number: Int, _ policy: ProfilePolicy, _ summary: ProfileBoard.Summary
  ) -> [UInt8] {
    var json = JSONWriter(reserving: 4_096)
    json.beginObject()
    write(number, policy, summary, to: &json)
    json.key("changes")
    json.beginArray()
    for change in summary.changes.reversed() where change.segment == number {
      json.beginObject()
      json.key("person_key")
      json.string(change.person.description)
      json.key("change")
      json.string(change.entered ? "entered" : "left")
      json.key("at")
      json.string(Timestamp.format(change.at))
      json.endObject()
    }
    json.endArray()
    LearnedQuery.write(summary.progress, to: &json)
    json.endObject()
    return json.bytes
  }

  static func cluster(
    _ place: Int, _ clusters: ProfileClusters, _ summary: ProfileBoard.Summary
  ) -> [UInt8] {
    var json = JSONWriter(reserving: 4_096)
    json.beginObject()
    write(place, clusters, to: &json)
    json.key("center")
    json.beginObject()
    for (name, value) in zip(
      clusters.features.names, clusters.clusters.clusters[place].center)
    {
      json.key(name)
      json.double(value)
    }
    json.endObject()
    json.key("kept_share")
    json.double(clusters.clusters.kept)
    json.key("refreshed_at")
    json.string(Timestamp.format(clusters.at))
    LearnedQuery.write(summary.progress, to: &json)
    json.endObject()
    return json.bytes
  }

  // MARK: Parts

  private static func write(
    _ number: Int, _ policy: ProfilePolicy, _ summary: ProfileBoard.Summary,
    to json: inout JSONWriter
  ) {
    let rule = policy.segments[number]
    let count = number < summary.counts.count ? summary.counts[number] : 0
    json.key("id")
    json.string(rule.id)
    json.key("kind")
    json.string("rule")
    json.key("description")
    json.string(rule.description)
    json.key("persons")
    json.integer(count)
    json.key("share")
    json.double(summary.persons > 0 ? Double(count) / Double(summary.persons) : 0)
  }

  private static func write(
    _ place: Int, _ clusters: ProfileClusters, to json: inout JSONWriter
  ) {
    let cluster = clusters.clusters.clusters[place]
    let share = Double(cluster.members) / Double(max(1, clusters.sampled))
    json.key("id")
    json.string(name(cluster))
    json.key("kind")
    json.string("cluster")
    json.key("description")
    json.string(description(cluster, clusters.features.names))
    // Of the sample, to all persons at the refresh.
    json.key("persons")
    json.integer(Int((share * Double(clusters.persons)).rounded()))
    json.key("share")
    json.double(share)
    json.key("traits")
    json.beginArray()
    for trait in cluster.traits {
      json.beginObject()
      json.key("feature")
      json.string(clusters.features.names[trait.feature])
      json.key("difference")
      json.double(trait.difference)
      json.key("mean")
      json.double(trait.mean)
      json.key("mean_of_rest")
      json.double(trait.meanOfRest)
      json.endObject()
    }
    json.endArray()
  }

  /// Such as `high frequency, low recency`.
  private static func description(
    _ cluster: StableClusters.Cluster, _ names: [String]
  ) -> String {
    let words = cluster.traits.prefix(3).map {
      "\($0.difference > 0 ? "high" : "low") \(names[$0.feature])"
    }
    return words.isEmpty ? "like the rest" : words.joined(separator: ", ")
  }
}
