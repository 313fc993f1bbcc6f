import Synchronization

/// What events of earlier requests looked like (``EventTemplates``): programs send the same kinds of events for as long
/// as they run, so those of a request need not be read to be compared with.
///
/// A request takes the templates of its key out and puts them back when it is done, so that no two use the same ones at a
/// time. A template keeps what is the same in all of its events, and nothing of what is somebody's own.
final class KeptTemplates: Sendable {
  /// Of a template that is kept.
  static let patternBytesMax = 4096
  /// Of the keys and event loops that were busy last.
  private static let setsMax = 64

  private struct TemplateSet {
    let key: WriteKey
    let templates: [EventTemplates.Template]
  }

  /// The last one was put back last.
  private let sets = Mutex<[TemplateSet]>([])

  func take(_ key: WriteKey) -> [EventTemplates.Template] {
    sets.withLock { sets in
      guard let index = sets.lastIndex(where: { $0.key === key }) else { return [] }
      return sets.remove(at: index).templates
    }
  }

  /// - Parameter clean: see ``RequestMemory/cleanTemplates``.
  func put(_ templates: [EventTemplates.Template], clean: UInt64, of key: WriteKey) {
    for (number, template) in templates.enumerated() where clean >> UInt64(number) & 1 != 0 {
      template.isClean = true
    }
    let kept = templates.filter { $0.isKeepable }
    if kept.isEmpty { return }
    sets.withLock { sets in
      if sets.count == Self.setsMax { sets.removeFirst() }
      sets.append(TemplateSet(key: key, templates: kept))
    }
  }
}
