import Definitions
import Events
import Testing

@Suite("Names of bots as the shipped rules have them")
struct BotNameTests {
  private static let webKit = "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; "
  private static let chrome = "Chrome/126.0.0.0 Safari/537.36"
  private static let phone =
    "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36"

  private func rules() throws -> BotRules {
    try #require(try Definitions(folder: Fixture.original).bots)
  }

  @Test(
    "A program is known by the user agent that its maker documents, and after it was reduced to its label",
    arguments: [
      ("\(webKit)ChatGPT-User/1.0; +https://openai.com/bot)", "ai-crawler"),
      ("\(webKit)GPTBot/1.2; +https://openai.com/gptbot)", "crawler ai-crawler"),
      ("\(webKit)OAI-SearchBot/1.0; +https://openai.com/searchbot)", "crawler ai-crawler"),
      ("\(webKit)Perplexity-User/1.0; +https://perplexity.ai/perplexity-user)", "ai-crawler"),
      ("\(webKit)Claude-User/1.0; +Claude-User@anthropic.com)", "ai-crawler"),
      ("\(webKit)ClaudeBot/1.0; +claudebot@anthropic.com)", "crawler ai-crawler"),
      (
        "Mozilla/5.0 (compatible; anthropic-ai/1.0; +http://www.anthropic.com/bot.html)",
        "ai-crawler"
      ),
      ("Mozilla/5.0 (compatible; Google-InspectionTool/1.0;)", "crawler"),
      (
        "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) \(phone) (compatible; Google-InspectionTool/1.0;)",
        "crawler"
      ),
      ("Mozilla/5.0 (compatible; Embedly/0.2; +http://support.embed.ly/)", "crawler"),
      ("Mozilla/5.0 (compatible; heritrix/3.4.0 +http://archive.example/)", "crawler"),
      ("Mozilla/5.0 (compatible; NetcraftSurveyAgent/1.0; +info@netcraft.com)", "link-scanner"),
      ("Mozilla/4.0 (compatible; Netcraft Web Server Survey)", "link-scanner"),
      ("Mozilla/5.0 (compatible; Mimecast/1.0)", "link-scanner"),
      (
        "AppEngine-Google; (+http://code.google.com/appengine; appid: s~virustotalcloud)",
        "link-scanner"
      ),
      ("Mozilla/5.0 (compatible; VirusTotal/1.0; +https://www.virustotal.com)", "link-scanner"),
      ("Mozilla/5.0 (Windows NT 10.0; Barracuda Sentinel) \(chrome)", "link-scanner"),
      ("Mozilla/5.0 (compatible; HetrixTools/1.0; +https://hetrixtools.com/)", "monitoring"),
      ("HetrixTools Uptime Monitoring Bot. https://hetrix.tools/", "crawler monitoring"),
      (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.1.1 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)",
        "crawler"
      ),
      (
        "Mozilla/5.0 (compatible; DataForSeoBot/1.0; +https://dataforseo.com/dataforseo-bot)",
        "crawler"
      ),
      ("AcmeBot/1.0", "crawler"),
    ])
  func documented(_ userAgent: String, _ expected: String) throws {
    let rules = try rules()
    let agent = Agent(userAgent)
    let stored = try #require(Agent(label: agent.label))
    #expect(rules.reasons(of: agent).names.joined(separator: " ") == expected, "\(agent.label)")
    #expect(rules.reasons(of: stored) == rules.reasons(of: agent))
    #expect(rules.isBot(rules.reasons(of: agent)))
  }

  @Test(
    "People's phones, browsers and apps have no reason",
    arguments: [
      "Mozilla/5.0 (Linux; Android 10; CUBOT NOTE 20) \(phone)",
      "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/UQ1A.240205.002; wv) \(phone)",
      "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \(chrome)",
      "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0; BRI/2; AskTbORJ/5.15)",
      "AbbottApp/3.1",
    ])
  func people(_ userAgent: String) throws {
    #expect(try rules().reasons(of: Agent(userAgent)) == [])
    // As collectors stored it that took the name for a bot's.
    let before = try #require(Agent(label: "CUBOT/Android/bot/CUBOT"))
    #expect(try rules().reasons(of: before) == [])
  }

  @Test("Every name of the rules gives its reason in a comment, and says what it is for")
  func everyName() throws {
    let rules = try rules()
    for pattern in rules.patterns where !pattern.text.hasPrefix("-") && pattern.text != "bare" {
      let name = pattern.text.replacing("*", with: "some-")
      let agent = Agent("Mozilla/5.0 (compatible; \(name)/1.0; +https://a.example/)")
      #expect(rules.reasons(of: agent).contains(pattern.reason), "\(name): \(agent.label)")
    }
  }
}
