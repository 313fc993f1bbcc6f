import Statistics

/// A profile as a point: what clusters are made from, and what decisions know of a person.
///
/// Times, numbers and money as ln(1 + x), since they are spread over orders of magnitude; shares as they are. Topics
/// and channels that are common are coordinates of their own, added at the end as they become so.
public struct ProfileFeatures: Sendable {
  public private(set) var names: [String]
  private var shares: [(kind: PreferenceKind, number: Int)] = []

  private static let plain: [(name: String, field: ProfileField)] = [
    ("recency", .recency), ("frequency", .frequency), ("value", .value),
    ("click_share", .clickShare), ("conversions", .conversions),
  ]
  static let sharesMax = 16
  /// Of the mean share over persons.
  static let shareMin = 0.02

  init() {
    names = Self.plain.map(\.name) + ProfileField.parts.map { "part.\($0)" }
  }

  /// - Parameter means: of the share by preference, over persons.
  mutating func add(
    commonest means: [PreferenceKey: Double], _ texts: [String]
  ) {
    let common = means.filter { $0.value >= Self.shareMin }
      .sorted { a, b in a.value != b.value ? a.value > b.value : a.key.raw < b.key.raw }
    for (key, _) in common {
      guard shares.count < Self.sharesMax, let kind = key.kind,
        !shares.contains(where: { $0.kind == kind && $0.number == key.number })
      else { continue }
      shares.append((kind, key.number))
      names.append("\(kind.name).\(texts[key.number])")
    }
  }

  public func point(_ view: ProfileView) -> [Double] {
    var point = Self.plain.map { feature in
      let value = feature.field.value(in: view) { _ in nil }
      return feature.field == .clickShare ? value : Elementary.log1p(max(0, value))
    }
    for part in ProfileField.parts.indices {
      point.append(ProfileField.part(part).value(in: view) { _ in nil })
    }
    for (kind, number) in shares { point.append(view.share(kind) { $0 == number }) }
    return point
  }
}
