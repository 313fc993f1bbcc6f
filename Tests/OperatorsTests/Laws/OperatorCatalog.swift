import Testing

/// Every operator, each with a story to try the laws on. A new one is a line here.
enum OperatorCatalog {
  struct Entry: Sendable, CustomTestStringConvertible {
    let name: String
    let verify: @Sendable (OperatorLaw, UInt64) throws -> Int

    init<Story: LawStory>(_ name: String, _ story: Story.Type) {
      self.name = name
      verify = { law, seed in
        try OperatorLaws<Story>(law, name, seed: seed).verify(law)
      }
    }

    var testDescription: String { name }
  }

  static let all: [Entry] = [
    Entry("Deduplicator", FrameStory<DeduplicatorMaker>.self),
    Entry("Deduplicator that forgets notes", FrameStory<ForgetfulDeduplicatorMaker>.self),
    Entry("WindowAggregator", FrameStory<WindowAggregatorMaker>.self),
    Entry("WindowAggregator that forgets notes", FrameStory<ForgetfulAggregatorMaker>.self),
    Entry("JoinedCounts", FrameStory<JoinedCountsMaker>.self),
    Entry("HoppingWindows", HoppingStory.self),
    Entry("PersonHistories", PersonsStory.self),
    Entry("IdentityLinks", LinkStory.self),
    Entry("PartialEmitter", EmitterStory.self),
    Entry("PartialIntake", IntakeStory.self),
    Entry("IncidentWatch", IncidentStory.self),
  ]
}
