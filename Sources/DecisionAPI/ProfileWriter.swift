import Events
import Learning
import Statistics

/// A profile as JSON.
enum ProfileWriter {
  private static let preferencesMax = 10

  static func json(
    _ found: ProfileBoard.Found, person: String, _ policy: ProfilePolicy
  ) -> [UInt8] {
    var json = JSONWriter(reserving: 2_048)
    let view = found.view
    json.beginObject()
    json.key("person")
    json.string(person)
    json.key("first_seen")
    json.string(Timestamp.format(view.first))
    json.key("last_seen")
    json.string(Timestamp.format(view.last))
    for (name, field) in ProfileField.plain {
      json.key(field.isTime ? "\(name)_days" : name)
      json.double(field.value(in: view) { _ in nil })
    }
    json.key("currency")
    json.string(policy.currency)
    json.key("preferences")
    json.beginObject()
    for kind in PreferenceKind.allCases {
      json.key(kind.name)
      json.beginArray()
      for (number, share) in view.shares(kind).prefix(preferencesMax) {
        json.beginObject()
        json.key("value")
        json.string(kind == .hour ? "\(number)" : found.names[number])
        json.key("share")
        json.double(share)
        json.endObject()
      }
      json.endArray()
    }
    json.endObject()
    json.key("segments")
    json.beginArray()
    for (index, rule) in policy.segments.enumerated() where found.profile.isIn(index) {
      json.string(rule.id)
    }
    json.endArray()
    json.key("cluster")
    if let clusters = found.clusters,
      let place = clusters.clusters.place(of: clusters.features.point(view))
    {
      json.string(SegmentWriter.name(clusters.clusters.clusters[place]))
    } else {
      json.null()
    }
    LearnedQuery.write(found.progress, to: &json)
    json.endObject()
    return json.bytes
  }
}
