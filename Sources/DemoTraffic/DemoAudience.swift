/// The people who visit: new ones, and some who come back.
struct DemoAudience: Sendable {
  /// People who may come back; beyond it a new one takes a random one's place.
  static let countMax = 2_000

  private var people: [DemoPerson] = []
  private(set) var returningCount = 0
  private var userCount = 0

  mutating func visitor(random: inout SplitMix64) -> DemoPerson {
    if people.count >= 10, random.happens(0.4) {
      returningCount += 1
      return random.element(people)
    }
    let person = newcomer(random: &random)
    if people.count < Self.countMax {
      people.append(person)
    } else {
      people[random.index(below: people.count)] = person
    }
    return person
  }

  private mutating func newcomer(random: inout SplitMix64) -> DemoPerson {
    switch random.index(weights: [60, 25, 10, 5]) {
    case 0: return DemoPerson(anonymousID: anonymousID(&random))
    case 1: return DemoPerson(anonymousID: anonymousID(&random), userID: userID())
    case 2: return DemoPerson(userID: userID())
    default: return DemoPerson(anonymousID: anonymousID(&random), isBot: true)
    }
  }

  /// Somebody who is known.
  mutating func member(random: inout SplitMix64) -> DemoPerson {
    DemoPerson(anonymousID: anonymousID(&random), userID: userID())
  }

  func bot(random: inout SplitMix64) -> DemoPerson {
    DemoPerson(anonymousID: anonymousID(&random), isBot: true)
  }

  private mutating func userID() -> String {
    userCount += 1
    return "user-\(userCount)"
  }

  private func anonymousID(_ random: inout SplitMix64) -> String {
    String(random.next(), radix: 16) + String(random.next(), radix: 16)
  }
}
