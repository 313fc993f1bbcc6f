import Events

/// The members of a JSON object, each read as what it has to be.
struct ExperimentMembers {
  let tree: JSONTree
  private let place: String

  /// - Parameter allowed: every other member is refused.
  init(_ tree: JSONTree, path: String, allowed: [String]) throws(ExperimentRefusal) {
    guard case .object(let members) = tree else {
      throw .invalid(path: path, detail: "an object is needed")
    }
    for member in members where !allowed.contains(member.name) {
      throw .invalid(
        path: "\(path).\(member.name)", detail: "there is no such member", allowed: allowed)
    }
    self.tree = tree
    place = path
  }

  func path(_ name: String) -> String { "\(place).\(name)" }

  func missing(_ name: String) -> ExperimentRefusal {
    .invalid(path: path(name), detail: "the member is needed")
  }

  func text(
    _ name: String, bytesMax: Int = ExperimentFormat.textBytesMax
  ) throws(ExperimentRefusal) -> String? {
    guard let value = tree[name] else { return nil }
    return try text(value, path(name), bytesMax: bytesMax)
  }

  func texts(_ name: String) throws(ExperimentRefusal) -> [String]? {
    guard let value = tree[name] else { return nil }
    guard case .array(let items) = value, items.count <= 100 else {
      throw .invalid(path: path(name), detail: "a list of at most 100 texts is needed")
    }
    var texts: [String] = []
    for (index, item) in items.enumerated() {
      let place = "\(path(name))[\(index)]"
      texts.append(try text(item, place, bytesMax: ExperimentFormat.textBytesMax))
    }
    return texts
  }

  func choice(_ name: String, _ allowed: [String]) throws(ExperimentRefusal) -> String? {
    guard let text = try text(name) else { return nil }
    guard allowed.contains(text) else {
      throw .invalid(path: path(name), detail: "\"\(text)\" is not known", allowed: allowed)
    }
    return text
  }

  func choices(_ name: String, _ allowed: [String]) throws(ExperimentRefusal) -> [String]? {
    guard let texts = try texts(name) else { return nil }
    for (index, text) in texts.enumerated() {
      guard allowed.contains(text) else {
        throw .invalid(
          path: "\(path(name))[\(index)]", detail: "\"\(text)\" is not known", allowed: allowed)
      }
      guard !texts[..<index].contains(text) else {
        throw .invalid(path: "\(path(name))[\(index)]", detail: "\"\(text)\" is there twice")
      }
    }
    return texts
  }

  func metric(_ name: String) throws(ExperimentRefusal) -> ExperimentMetric? {
    guard let text = try text(name) else { return nil }
    return try metric(text, path(name))
  }

  /// Each once.
  func metrics(_ name: String) throws(ExperimentRefusal) -> [ExperimentMetric]? {
    guard let texts = try texts(name) else { return nil }
    guard texts.count <= ExperimentPlan.guardrailCountMax else {
      throw .invalid(
        path: path(name),
        detail: "at most \(ExperimentPlan.guardrailCountMax) metrics are watched")
    }
    var metrics: [ExperimentMetric] = []
    for (index, text) in texts.enumerated() {
      let metric = try metric(text, "\(path(name))[\(index)]")
      guard !metrics.contains(metric) else {
        throw .invalid(path: "\(path(name))[\(index)]", detail: "\"\(text)\" is there twice")
      }
      metrics.append(metric)
    }
    return metrics
  }

  private func metric(_ text: String, _ path: String) throws(ExperimentRefusal) -> ExperimentMetric
  {
    guard let metric = ExperimentMetric(name: text) else {
      throw .invalid(
        path: path, detail: "\"\(text)\" is not known", allowed: ExperimentMetric.allowed)
    }
    return metric
  }

  func number(
    _ name: String, _ range: ClosedRange<Double>
  ) throws(ExperimentRefusal) -> Double? {
    guard let value = tree[name] else { return nil }
    guard case .number(let number, _) = value, range.contains(number) else {
      throw .invalid(
        path: path(name),
        detail: "a number from \(range.lowerBound) to \(range.upperBound) is needed")
    }
    return number
  }

  func integer(_ name: String, _ range: ClosedRange<Int>) throws(ExperimentRefusal) -> Int? {
    guard let value = tree[name] else { return nil }
    guard case .number(_, let text) = value, let number = Int(text), range.contains(number) else {
      throw .invalid(
        path: path(name),
        detail: "a whole number from \(range.lowerBound) to \(range.upperBound) is needed")
    }
    return number
  }

  private func text(
    _ value: JSONTree, _ path: String, bytesMax: Int
  ) throws(ExperimentRefusal) -> String {
    guard case .string(let text) = value, !text.isEmpty, text.utf8.count <= bytesMax,
      !text.utf8.contains(where: { $0 < 0x20 })
    else {
      throw .invalid(
        path: path, detail: "a text of 1 to \(bytesMax) bytes without control characters is needed")
    }
    return text
  }
}
