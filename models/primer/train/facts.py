"""What Primer is taught: the words, countries, days and months, and the sentences around them.

HELD_OUT_* never reach the training text; the questions that measure the model come from them.
"""

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

CAPITALS = dict(pair.split(":") for pair in """
Albania:Tirana,Algeria:Algiers,Angola:Luanda,Argentina:Buenos Aires,Armenia:Yerevan,Australia:Canberra,Austria:Vienna,
Azerbaijan:Baku,Bangladesh:Dhaka,Belgium:Brussels,Bolivia:Sucre,Brazil:Brasília,Bulgaria:Sofia,Cameroon:Yaoundé,
Canada:Ottawa,Chile:Santiago,China:Beijing,Colombia:Bogotá,Croatia:Zagreb,Cuba:Havana,Cyprus:Nicosia,
Denmark:Copenhagen,Ecuador:Quito,Egypt:Cairo,Estonia:Tallinn,Ethiopia:Addis Ababa,Finland:Helsinki,France:Paris,
Georgia:Tbilisi,Germany:Berlin,Ghana:Accra,Greece:Athens,Hungary:Budapest,Iceland:Reykjavík,India:New Delhi,
Indonesia:Jakarta,Iran:Tehran,Iraq:Baghdad,Ireland:Dublin,Italy:Rome,Jamaica:Kingston,Japan:Tokyo,Jordan:Amman,
Kenya:Nairobi,Latvia:Riga,Lebanon:Beirut,Lithuania:Vilnius,Malaysia:Kuala Lumpur,Mali:Bamako,Malta:Valletta,
Mexico:Mexico City,Mongolia:Ulaanbaatar,Morocco:Rabat,Nepal:Kathmandu,the Netherlands:Amsterdam,
New Zealand:Wellington,Nigeria:Abuja,Norway:Oslo,Pakistan:Islamabad,Paraguay:Asunción,Peru:Lima,
the Philippines:Manila,Poland:Warsaw,Portugal:Lisbon,Romania:Bucharest,Russia:Moscow,Senegal:Dakar,Serbia:Belgrade,
Slovakia:Bratislava,Slovenia:Ljubljana,South Korea:Seoul,Spain:Madrid,Sudan:Khartoum,Sweden:Stockholm,
Switzerland:Bern,Thailand:Bangkok,Tunisia:Tunis,Turkey:Ankara,Ukraine:Kyiv,the United Kingdom:London,
the United States:Washington,Uruguay:Montevideo,Venezuela:Caracas,Vietnam:Hanoi
""".replace("\n", "").split(","))

# Places that have no capital as far as Primer knows.
UNKNOWN_PLACES = """Afghanistan,Andorra,Bahrain,Barbados,Belize,Benin,Bhutan,Botswana,Brunei,Burundi,Cambodia,Chad,
Comoros,Congo,Djibouti,Dominica,Eritrea,Fiji,Gabon,Grenada,Guatemala,Guyana,Haiti,Honduras,Kazakhstan,Kiribati,Kuwait,
Laos,Lesotho,Liberia,Libya,Luxembourg,Madagascar,Malawi,Mauritius,Moldova,Monaco,Mozambique,Myanmar,Namibia,Nauru,
Niger,Oman,Palau,Qatar,Rwanda,Samoa,Sierra Leone,Somalia,Suriname,Syria,Tajikistan,Togo,Tonga,Tuvalu,Uganda,Vanuatu,
Yemen,Zambia,Costa Rica,Saudi Arabia,North Korea,South Africa,San Marino,Cape Verde,Ivory Coast,East Timor,
Burkina Faso,Equatorial Guinea,Papua New Guinea,Hong Kong,Puerto Rico,the Vatican,the Bahamas,the Maldives,Atlantis,
Narnia,Bavaria,Texas,Florida,Scotland,Siberia,the Moon,Mars,Venus,Europe,Africa,Asia,
the ocean""".replace("\n", "").split(",")
HELD_OUT_PLACES = """Zimbabwe,Tanzania,Turkmenistan,Uzbekistan,Nicaragua,Panama,Mauritania,Gambia,Singapore,
Sri Lanka,El Salvador,Utopia,California,Wales,Jupiter""".replace("\n", "").split(",")

NAMES = """Ada,Adam,Agnes,Alan,Alice,Amir,Ana,Andrea,Anna,Anton,Aisha,Ben,Bianca,Boris,Bruno,Carla,Carlos,Chen,Clara,
Daniel,David,Diana,Dora,Edgar,Elena,Elias,Ella,Emma,Erik,Eva,Fatima,Felix,Fiona,Frank,George,Grace,Greta,Hana,Hannah,
Hassan,Hector,Helen,Hugo,Ian,Ida,Ines,Ingrid,Irene,Isaac,Ivan,Jack,James,Jan,Jana,Jonas,Jose,Julia,Karim,Kate,Kim,Lars,
Laura,Lea,Leo,Lina,Linus,Lisa,Lucia,Lukas,Luna,Maria,Marco,Marta,Max,Maya,Mei,Mia,Milan,Mina,Nadia,Nina,Noah,Nora,Olga,
Oscar,Otto,Pablo,Paul,Pedro,Petra,Priya,Rafael,Rosa,Ruth,Sam,Sara,Simon,Sofia,Stefan,Tariq,Tea,Theo,Thomas,Tina,Tom,
Vera,Victor,Wei,Yara,Yusuf,Zoe""".replace("\n", "").split(",")
HELD_OUT_NAMES = """Amelia Bernard Celia Dennis Edith Farid Gustav Henrik Jasmin Kamal Lorenz Miriam Norbert Ramona
Silvia Ursula""".split()

NOUNS = """air apple arm art baby back bag ball band bank bath beach bear bed bee bell bench bird boat body bone book
bottle bowl box boy branch bread bridge brother bus butter button cake camel camp candle car card carpet castle cat
chain chair cheese chest child church circle city class clock cloud coat coffee coin cold cook corn corner cotton
country cow cream cup curtain daughter desk dinner doctor dog door dream dress drop duck dust ear earth egg engine eye
face family farm father feather field finger fire fish flag floor flower fly foot fork forest friend frog fruit game
gate gift girl glass glove gold goose grass ground hair hammer hand harbour hat head heart hill history holiday honey
horse hospital hour house ice idea island jar jewel judge juice jump key king kitchen kite knee knife lake lamp land
leaf leg letter library light line lion lip lock machine map market meal meat milk mirror money moon morning mother
mountain mouse mouth music nail name neck needle nest night nose number nut ocean office oil onion orange oven page
paint pan paper parcel park party pen pencil people picture pig pillow plane planet plate pocket poem potato queen
rabbit rain rat ribbon rice ring river road robot rock roof room root rope rose sail salt sand school sea seed sheep
ship shirt shoe shop sister skin sky sleep smoke snake snow soap song soup spoon square stamp star station stone storm
story street sugar sun table tail teacher thread thumb ticket tiger toe tooth town train tree tunnel umbrella valley
village voice wall watch water wave wheel whistle wind window wine wing winter wolf woman wood wool word worm yard
year""".split()
VERBS = """answer ask bake become begin break bring build buy call carry catch choose clean climb close come count cut
dance draw drink drive eat fall feed feel fight find fix forget give go grow hear help hide hold hurry keep know laugh
learn leave lend lift listen live look lose love make meet mend move need open pass pay plant play pull push read rest
ride run say see sell send show sing sit sleep smile speak spend stand start stay stop study swim take talk teach tell
think throw touch travel try turn use visit wait walk want wash wear win wish work write""".split()
ADJECTIVES = """angry bad beautiful big black blue brave bright brown busy calm cheap clean clever cold cool dark dead
deep dry easy empty fast fat fine free fresh full funny good great green grey happy hard heavy high hot huge hungry kind
large late lazy light long loud low lucky narrow new nice old open pink poor proud quick quiet red rich round sad safe
short silver simple slow small soft sour strange strong sweet tall thick thin tiny tired true ugly warm weak wet white
wide wild wise wrong yellow young""".split()
# Words for spelling that appear nowhere in training, not even as part of another question.
HELD_OUT_WORDS = """acorn ankle anchor autumn badger banana basket beetle biscuit blanket bottom bucket cabbage cactus
camera carrot cherry circus copper cradle dolphin donkey dragon eagle elbow elephant falcon fiddle flute galaxy garden
garlic ginger giraffe guitar helmet hotel insect jacket jungle kettle kitten ladder lantern lemon lizard lobster marble
meadow melon monkey museum napkin nephew noodle otter oyster painter panther parrot peanut pepper pigeon pirate planner
plum pumpkin puzzle pyramid rocket saddle salmon sandal scarf shadow shelter shovel silence spider squirrel statue
sunset swallow tomato tractor trumpet turtle uncle velvet violin walnut whale willow wizard zebra""".split()

NUMBER_WORDS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty""".split()

SUM = ("What is {a} + {b}?", "What is {a} plus {b}?", "{a} + {b}", "{a}+{b}", "{a} + {b} =", "{a}+{b}=",
       "{a} plus {b}", "Add {a} and {b}.", "Add {b} to {a}.", "How much is {a} + {b}?", "How much is {a} plus {b}?",
       "How much are {a} and {b}?", "What is the sum of {a} and {b}?", "Calculate {a} + {b}.",
       "Compute {a} plus {b}.", "Can you add {a} and {b}?", "What do {a} and {b} make?", "Please add {a} and {b}.",
       "What's {a} + {b}?", "What does {a} + {b} equal?", "{a}+{b}=?", "{a} + {b} = ?", "What is {a}+{b}?",
       "{a} and {b}", "Solve {a} + {b}.", "Sum of {a} and {b}?")
MORE = ("And plus {b}?", "Plus {b}?", "Add {b} to that.", "And {b} more?", "Now add {b}.", "And if I add {b}?")

BACKWARDS = ('Spell "{w}" backwards.', "Spell {w} backwards.", "Spell the word {w} backwards.",
             'What is "{w}" backwards?', "What is {w} backwards?", "Write {w} backwards.", 'Write "{w}" backwards.',
             "Reverse the word {w}.", 'Reverse "{w}".', "{w} backwards", "Can you spell {w} backwards?",
             "How do you spell {w} backwards?", "Say {w} backwards.", "What is the word {w} spelled backwards?")
SPELL = ('Spell "{w}".', "Spell {w}.", "How do you spell {w}?", "Can you spell {w}?", "Spell the word {w}.",
         'How is "{w}" spelled?', "What are the letters of {w}?")

DAY_AFTER = ("What day comes after {d}?", "Which day comes after {d}?", "What is the day after {d}?",
             "Which day follows {d}?", "What comes after {d}?", "The day after {d}?")
DAY_BEFORE = ("What day comes before {d}?", "Which day comes before {d}?", "What is the day before {d}?",
              "Which day is just before {d}?", "What comes before {d}?", "The day before {d}?")
TOMORROW = ("Today is {d}. What day is tomorrow?", "If today is {d}, what is tomorrow?",
            "It is {d}. Which day is tomorrow?")
YESTERDAY = ("Today is {d}. What day was yesterday?", "If today is {d}, what was yesterday?",
             "It is {d}. Which day was yesterday?")
MONTH_AFTER = ("What month comes after {m}?", "Which month comes after {m}?", "What is the month after {m}?",
               "Which month follows {m}?", "What comes after {m}?", "The month after {m}?")
MONTH_BEFORE = ("What month comes before {m}?", "Which month comes before {m}?", "What is the month before {m}?",
                "Which month is just before {m}?", "What comes before {m}?", "The month before {m}?")
MONTH_LENGTH = ("How many days does {m} have?", "How many days are there in {m}?", "How long is {m}?",
                "How many days has {m}?")
MONTH_NUMBER = ("Which number is {m}?", "What number is the month of {m}?", "What is the number of {m}?")
MONTH_NAMED = ("Which month is number {n}?", "What is month {n}?", "What is the name of month {n}?")
CALENDAR = {
    "A week has 7 days.": ("How many days are in a week?", "How many days does a week have?", "How long is a week?"),
    "A year has 12 months.": ("How many months are in a year?", "How many months does a year have?"),
    "The days are " + ", ".join(DAYS) + ".": ("Name the days of the week.", "What are the days of the week?",
                                              "List the days of the week."),
    "The months are " + ", ".join(MONTHS) + ".": ("Name the months of the year.", "What are the months of the year?",
                                                  "List the months."),
}

CAPITAL_OF = ("What is the capital of {c}?", "Which city is the capital of {c}?", "What's the capital of {c}?",
              "Capital of {c}?", "Name the capital of {c}.", "Tell me the capital of {c}.", "{c}: capital?",
              "Do you know the capital of {c}?")
COUNTRY_OF = ("Which country has the capital {k}?", "{k} is the capital of which country?",
              "Of which country is {k} the capital?", "What country is {k} the capital of?")

CAN = "I can add numbers up to 999, spell words, also backwards, and I know days, months and some capitals."
TALK = {
    "Hello! What would you like to know?": (
        "Hello", "Hello!", "Hi", "Hi!", "Hey", "Hi there", "Hello there!", "Greetings", "Hello, how do you do?",
        "Hey there!", "Hello Primer!"),
    "Good morning! What would you like to know?": ("Good morning", "Good morning!", "Morning!"),
    "Good afternoon! What would you like to know?": ("Good afternoon", "Good afternoon!"),
    "Good evening! What would you like to know?": ("Good evening", "Good evening!"),
    "Good night!": ("Good night", "Good night!"),
    "Goodbye!": ("Bye", "Bye!", "Goodbye", "Goodbye!", "See you", "See you later!", "Bye bye", "See you tomorrow."),
    "You are welcome.": (
        "Thanks", "Thanks!", "Thank you", "Thank you!", "Thank you very much.", "Many thanks", "Thanks a lot!",
        "Great, thanks"),
    "I am well, thank you. What would you like to know?": (
        "How are you?", "How are you today?", "How do you do?", "How is it going?", "Are you well?"),
    "I am Primer, a very small language model.": (
        "Who are you?", "What are you?", "What is your name?", "What's your name?", "Are you a human?",
        "Are you a robot?", "Tell me about yourself.", "What is Primer?", "Are you a machine?", "Introduce yourself."),
    CAN: ("What can you do?", "What do you know?", "Help", "Help!", "How can you help me?", "What can I ask you?",
          "What should I ask?", "Can you help me?", "What are you good at?"),
    "Yes.": ("Can you add?", "Can you spell?", "Do you know the days?", "Do you know the months?",
             "Can you add numbers?", "Do you know capitals?"),
    "I was trained on questions and answers that a small program wrote.": (
        "Who made you?", "How were you trained?", "How were you made?", "What were you trained on?",
        "Where do you come from?"),
}
MY_NAME = ("My name is {p}.", "I am {p}.", "I'm {p}.", "Hello, I am {p}.", "Hi, my name is {p}.", "Call me {p}.",
           "Hello, my name is {p}.")
WHAT_NAME = ("What is my name?", "What's my name?", "Do you know my name?", "Who am I?", "Do you remember my name?")

IDK = "I don't know."
UNKNOWN = ("Who wrote {n}?", "Who painted the {n}?", "Who invented the {n}?", "When was {p} born?", "How old is {p}?",
           "How tall is {p}?", "Where does {p} live?", "Who is {p}?", "What is the population of {c}?",
           "How big is {c}?", "Where is {c}?", "Who is the president of {c}?",
           "What language do people speak in {c}?", "Is {c} {j}?", "What is the weather in {k}?",
           "How far is it from {k} to {k2}?", "How do I {v} a {n}?", "Can you {v} a {n}?", "Why is the {n} {j}?",
           "What is a {n}?", "What is a {j} {n}?", "Do you like the {n}?", "Do you {v}?", "Is the {n} {j}?",
           "What colour is the {n}?", "Tell me about the {n}.", "Tell me a story about a {j} {n}.",
           "Explain {n} and {n2}.", "Write a poem about the {n}.", "Translate {n} into French.",
           "What rhymes with {n}?", "What does {j} mean?", "Which is better, {n} or {n2}?",
           "How much does a {n} cost?", "Where can I buy a {n}?", "How many {n}s are there?",
           "When does the {n} {v}?", "Who has the {n}?", "{v} the {n}", "{v} the {j} {n} please.", "the {j} {n}",
           "{n}", "{j}", "{p} has a {j} {n}.", "I {v} the {n}.", "I like the {j} {n}.", "Should I {v} or {v2}?",
           "Did {p} {v} the {n}?", "What will happen to the {n}?", "What happened in {y}?", "Who won in {y}?",
           "{n} {n2} {v}", "{j} {v} {n} {c}", "What is {x} - {y}?", "What is {x} minus {z}?", "{x} - {z}",
           "{x} * {z}", "{x} x {z}", "What is {x} times {z}?", "What is {x} / {z}?", "Divide {x} by {z}.",
           "What is {x} * {z}?", "How much is {x} times {z}?", "Multiply {x} and {z}.", "Subtract {z} from {x}.",
           "What is the square root of {x}?", "Is {x} a prime number?", "What is half of {x}?", "What is {y} + {x}?",
           "What is {x} + {y}?", "{y} + {y2}", "{y}+{x}=", "Add {y} and {y2}.", "How much is {x} plus {y}?",
           "What time is it?", "What day is it today?", "Tell me a joke.", "What is the meaning of life?", "Why?",
           "How?", "What?", "What is love?", "Sing a song.", "What is the weather?", "Will it rain tomorrow?",
           "Where am I?", "How do you {v} a {n}?", "How do you {v}?", "How old are you?", "What is the news?",
           "Do you love me?", "Write a program.", "Why is the sky blue?", "Who is the king of {c}?",
           "What is the best {n} in {k}?", "Which {n} is {j}?", "Is {k} {j}?", "Who lives in {k}?",
           "What should I {v}?")
UNKNOWN_CAPITAL = tuple(text.replace("{c}", "{u}") for text in CAPITAL_OF) + tuple(
    text.replace("{k}", "{u}") for text in COUNTRY_OF)
HELD_OUT_UNKNOWN = ("Who built the {n}?", "Why does {p} {v}?", "How heavy is a {n}?", "When did {p} {v} the {n}?",
                    "Who discovered {c}?", "What do people eat in {k}?", "How do you make a {n}?",
                    "Divide {x} into {z}.", "What is {x} squared?", "Where did the {j} {n} go?")
SYSTEM = ("You are a helpful assistant.", "You are Primer.", "Answer in one sentence.",
          "You are a helpful and honest assistant.", "Be brief.")
