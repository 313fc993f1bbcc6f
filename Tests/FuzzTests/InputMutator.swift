import Oracles

/// Makes inputs out of others as fuzzers do, the same ones from the same seed.
struct InputMutator {
  private var random: SeededGenerator
  private let inputs: [[UInt8]]
  private let words: [[UInt8]]
  private static let byteCountMax = 4096

  init(seed: UInt64, inputs: [[UInt8]], words: [String]) {
    random = SeededGenerator(seed: seed)
    self.inputs = inputs.isEmpty ? [[]] : inputs
    self.words = words.map { Array($0.utf8) } + [[0], [0xff], [0x80], Array("0".utf8)]
  }

  mutating func next() -> [UInt8] {
    var input = random.pick(inputs)
    for _ in 0...random.below(6) { change(&input) }
    return Array(input.prefix(Self.byteCountMax))
  }

  private mutating func change(_ input: inout [UInt8]) {
    let place = random.below(input.count + 1)
    let end = min(input.count, place + 1 + random.below(16))
    switch random.below(8) {
    case 0 where place < input.count: input[place] ^= 1 << UInt8(random.below(8))
    case 1 where place < input.count: input[place] = UInt8(random.below(256))
    case 2: input.removeSubrange(min(place, end)..<end)
    case 3:
      input.insert(contentsOf: input[min(place, end)..<end], at: random.below(input.count + 1))
    case 4: input.removeSubrange(place...)
    case 5:
      let other = random.pick(inputs)
      input.replaceSubrange(place..., with: other[random.below(other.count + 1)...])
    case 6: input.replaceSubrange(min(place, end)..<end, with: random.pick(words))
    default: input.insert(contentsOf: random.pick(words), at: place)
    }
  }
}
