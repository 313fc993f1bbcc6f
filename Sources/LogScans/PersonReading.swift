public import Analyses
import Synchronization

/// What a question about persons has found, and how often the log was read for it.
public struct PersonReading<Fold: PersonFold>: Sendable {
  public var fold: Fold
  public var people: PersonPeople
  public var reach: ScanReach
  public var passes: Int
}

extension LogScan {
  /// What may be kept at once of persons by one question.
  public static let personBytesMax = 512 << 20
  /// A question that needs more is too large: by then the log would be read for days.
  public static let personSharesMax = 256

  /// Hands the history of every person to a fold.
  ///
  /// Where not all of them find room at once the log is read again, for a share of the persons at a time: who may be
  /// connected, by signing in anywhere, is in one share. The answer is the same, and takes as many times as long.
  ///
  /// - Parameters:
  ///   - bytesMax: what may be kept at once of persons and their touches.
  ///   - make: a fold that has seen nobody, for as much of the log as is read.
  public func persons<Fold: PersonFold>(
    _ question: PersonQuestion, segments: SegmentHistory, bytesMax: Int = LogScan.personBytesMax,
    _ make: (ScanReach) -> Fold
  ) throws(ScanError) -> PersonReading<Fold> {
    let room = SharedRoom(bytesMax)
    let (whole, reach) = try run {
      PersonScan(question, segments: segments, room: room.room)
    }
    guard let overflow = whole.overflow else {
      var (fold, people) = (make(reach), PersonPeople(question, segments))
      whole.people(&people) { fold.add($0) }
      return PersonReading(fold: fold, people: people, reach: reach, passes: 1)
    }
    var count = overflow.shareCount(bytesMax: bytesMax)
    var passes = 1
    while count <= Self.personSharesMax {
      let shares = overflow.graph.shares(count)
      expect(passes: count)
      var (fold, people) = (make(reach), PersonPeople(question, segments))
      for share in 0..<count {
        let room = SharedRoom(bytesMax)
        let (part, _) = try run {
          PersonScan(
            question, segments: segments, share: PersonShare(shares, share), room: room.room)
        }
        passes += 1
        guard part.overflow == nil else { break }
        part.people(&people) { fold.add($0) }
        if share + 1 == count {
          return PersonReading(fold: fold, people: people, reach: reach, passes: passes)
        }
      }
      count *= 2
    }
    throw .analysis(
      .full(
        what: "shares of persons", max: Self.personSharesMax, advice: PersonQuestion.advice))
  }
}

/// Room that several threads take from.
private final class SharedRoom: Sendable {
  private let bytesMax: Int
  private let taken = Atomic<Int>(0)

  init(_ bytesMax: Int) { self.bytesMax = bytesMax }

  var room: PersonRoom {
    PersonRoom { [self] bytes in
      taken.add(bytes, ordering: .relaxed).newValue <= bytesMax
    }
  }
}
