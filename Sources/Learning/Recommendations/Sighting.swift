import Events

/// An event about a content, and where in the log it is: the data behind a recommendation.
struct Sighting: Sendable, Equatable {
  /// The content's number.
  var content: Int32
  /// Seconds.
  var time: Double
  var place: FramePlace
  /// Whose it is: none of an erased person's is pointed to any more.
  var person: Key128
}

/// The latest of them, the latest last.
struct Sightings: Sendable, Equatable {
  static let countMax = 8

  private(set) var all: [Sighting] = []

  mutating func add(_ sighting: Sighting) {
    var place = all.count
    while place > 0, all[place - 1].time > sighting.time { place -= 1 }
    if all.count == Self.countMax {
      // What is older than all of them is no news.
      guard place > 0 else { return }
      all.removeFirst()
      place -= 1
    }
    all.insert(sighting, at: place)
  }

  mutating func remove(where isGone: (Sighting) -> Bool) { all.removeAll(where: isGone) }
}
