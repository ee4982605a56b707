"""Words that the tasks use, written out by hand."""

COMMON = tuple("""
apple arrow autumn baby badge baker ball banana bank barn barrel basket battery beach bean bear
bed bee bell bench berry bicycle bird biscuit blanket block board boat body bone book boot bottle
bowl box branch bread brick bridge broom brother brush bucket bus butter button cabin cable cake
camel camera candle candy canoe canyon captain car carpet carrot castle cat cave cellar chain
chair chalk cheese cherry chess chicken chimney circle circus city clock cloud clover coast coat
coffee coin collar comb compass cookie copper corn corner cotton couch cow crab crane cream
cricket crow crown crystal cup curtain dance daughter deer desert desk diamond dinner dish doctor
dog dollar dolphin door dragon drawer dream dress drum duck dust eagle ear earth egg elbow
elephant engine envelope evening eye face factory family farm feather fence fern ferry field
finger fire fish flag flame flower flute fog folder forest fork fountain fox frame friend frog
fruit garage garden garlic gate ghost giant ginger giraffe glass glove goat gold goose grape grass
gravel guitar hammer hand harbor hat hawk head heart hedge helmet hill hippo honey hook horse
hotel house ice iron island ivory jacket jar jelly jewel juice jungle kettle key king kitchen kite
kitten knee knife knot ladder lake lamb lamp lantern laundry leaf leather lemon lentil letter
library light lily lime lion lizard lock log lunch magnet map maple market mask meadow melon metal
milk mill mirror mitten money monkey moon morning moss moth mountain mouse mouth muffin mushroom
music nail needle nest net night noodle nose notebook nurse nut oak ocean office olive onion
orange orchard oven owl paint palace pancake panda paper parrot party path peach peanut pear pearl
pebble pen pencil penguin pepper piano picnic picture pie pig pigeon pillow pilot pine pipe pirate
planet plant plate plum pocket pond pony potato powder present prince puddle pumpkin puppy purple
puzzle queen quilt rabbit radio railway rain rainbow raven ribbon rice ring river road robin robot
rock rocket roof room root rope rose ruler saddle sail salad salmon salt sand sandal sandwich
saucer scarf school scissors screen sea seal seed shadow shark sheep shelf shell ship shirt shoe
shop shoulder shovel silver singer sister skirt sky sleeve slipper smoke snail snake snow soap
sock sofa soldier song soup spade sparrow spider spinach sponge spoon spring square squirrel
stable stage stair star station statue steam stone storm stove straw strawberry street string
sugar summer sun supper swan sweater sword table tailor tea teacher tent theater thistle thread
throne thumb thunder ticket tiger timber toast tomato tongue tooth torch towel tower town toy
tractor train treasure tree trousers truck trumpet tulip tunnel turkey turtle umbrella uncle
valley vase velvet village violet violin voice volcano wagon wall walnut water wave wax weather
week whale wheat wheel whisper whistle willow wind window wing winter wizard wolf wood wool worm
yard year yellow zebra zipper able active after again alone always angry answer around asleep
awake bitter bottom brave bright broken busy calm careful cheap clean clever cloudy cold common
cool correct crazy dark deep different early easy empty equal fair famous fast flat fresh friendly
full funny gentle glad good grand great green happy hard heavy hidden high hollow honest hungry
important kind large lazy little lonely long loose loud lovely lucky narrow near new noisy old
open pale perfect plain polite pretty proud quick quiet ready rich ripe rough round sad safe sharp
short shy silent simple sleepy slow small smooth soft sour special steep straight strange strong
sudden sweet tall tender thick thin tiny tired true ugly usual warm weak wet white wide wild wise
wonderful young accept agree allow appear arrive become begin believe belong borrow bounce bring
build burn call carry catch change chase choose climb collect compare connect cook copy count
cover crawl create decide deliver describe dig discover divide draw drink drive enjoy enter escape
explain explore fall feed feel fetch find finish float fly follow forget freeze gather give grow
guess happen hear help hide hold hope hunt hurry imagine improve invent invite join jump keep kick
kneel know laugh lead learn leave lift listen live look lose make measure meet melt mend mix move
need notice offer paddle pass pay plan play point pour practice promise pull push reach read
receive remember repair repeat reply rest return ride rise roll run save scratch search sell send
shake share shine shout sing sit sleep slide smile sneeze speak spell spend splash stand start
stay steal stop stretch swim swing take taste teach tell think throw tie touch travel try turn
twist understand visit wait wake walk wander want wash watch wear weigh whisper win wish wonder
work worry wrap write yawn memory model module network number octopus packet parcel pattern pepper
program protocol quarter question reason record region register release report resistor result
router sample scanner screw second section sensor sentence server shader signal socket software
solder speaker speech spiral static storage stream switch symbol system tablet target terminal
thermal token transistor vector version vocabulary voltage volume wallet weight window wire
alligator amazing balloon bamboo bassoon bookkeeper butterfly caterpillar cinnamon coconut
committee crocodile cucumber dandelion dinosaur eleven fluffy goggles grasshopper hippopotamus
igloo jigsaw kangaroo koala ladybug lollipop mammal marmalade mississippi mosquito nineteen
parallel peppermint pineapple platypus porcupine raspberry rhinoceros rhythm salamander seventeen
skyscraper success tambourine tennessee tomorrow vanilla watermelon wheelbarrow woodpecker
xylophone yogurt zucchini address balance calendar dictionary february january wednesday thursday
saturday monday tuesday friday sunday december october
""".split())
COMMON = tuple(dict.fromkeys(COMMON))
SHORT = tuple(word for word in COMMON if 3 <= len(word) <= 6)

NAMES = tuple("""
Ada Alan Alex Alice Amir Amy Anna Anton Arthur Ben Bella Boris Carl Carla Carmen Chen Chloe Clara
Daniel David Diana Dora Edgar Elena Eli Ella Emil Emma Erik Eva Felix Finn Fiona Frank Freya
George Gina Grace Greta Hana Hannah Hans Hasan Helen Henry Hugo Ida Igor Ines Irene Iris Isaac
Ivan Jack Jakob James Jan Jane Jasper John Jonas Julia Karen Karim Karl Kate Kevin Kim Klara Lara
Lars Laura Lea Leo Lena Liam Lila Lin Linda Lisa Louis Luca Lucy Luis Maja Marco Maria Mark Marta
Martin Mary Max Maya Mei Mia Mike Mila Milo Mina Mona Nadia Nick Nina Noah Nora Olga Oliver Omar
Oscar Otto Paul Paula Peter Petra Philip Pia Ravi Rita Robert Rosa Ruth Sam Sara Sergei Simon
Sofia Sonja Stefan Susan Tara Theo Thomas Tim Tina Tom Toni Umar Vera Victor Viola Walter Wendy
Will Yara Yuki Yusuf Zoe Zora
""".split())
BOT_NAMES = tuple("""
Bo Bit Pip Rusty Nova Pixel Chip Dot Echo Fern Gizmo Hazel Iggy Jet Kiko Luma Momo Nib Orbit Pogo
Quill Robo Sparky Tink Uno Vega Widget Xeno Yoyo Zip Bolt Cobalt Ember Flint Mango Olli Piko Rex
Sunny Tango
""".split())
PETS = ("cat", "dog", "parrot", "rabbit", "hamster", "pony", "turtle", "goldfish", "mouse", "snake")
COLORS = ("red", "blue", "green", "yellow", "orange", "purple", "white", "black", "pink", "brown",
          "gray", "silver", "gold", "turquoise", "violet")
FOODS = ("pizza", "soup", "rice", "pasta", "salad", "bread", "cheese", "chocolate", "apples",
         "pancakes",
         "noodles", "curry", "dumplings", "fish", "potatoes", "ice cream", "toast", "beans", "cake")
PLACES = ("kitchen", "bedroom", "living room", "bathroom", "garage", "garden", "office", "hall",
          "attic",
          "basement", "cellar", "balcony", "greenhouse", "workshop", "nursery", "library", "shed",
          "lab",
          "server room", "hallway", "porch", "stable", "studio", "pantry", "laundry room",
          "dining room",
          "guest room", "barn", "lobby", "roof", "terrace", "entrance", "playroom", "boiler room",
          "meeting room", "warehouse",
          "patio", "deck", "veranda", "driveway", "carport", "courtyard", "backyard",
          "front yard", "orchard", "chicken coop", "stairwell", "landing", "loft", "conservatory",
          "sunroom", "utility room", "storage room", "cloakroom", "walk-in closet",
          "downstairs toilet", "master bedroom", "home office",
          "reading corner", "home theater", "gym", "sauna", "swimming pool", "pool house",
          "wine cellar", "garden shed", "tool shed", "bike shed", "tree house", "boathouse",
          "control room", "engine room", "machine room", "data center", "server rack",
          "clean room", "cold room", "cold store", "waiting room", "conference room",
          "break room", "canteen", "reception", "classroom", "lecture hall", "sports hall",
          "changing room", "copy room", "mail room", "archive", "museum", "gallery", "chapel",
          "tower", "bunker", "tunnel", "hangar", "depot", "silo", "mill", "dairy", "cowshed",
          "henhouse", "aquarium", "terrarium", "fish tank", "fridge", "freezer room", "incubator",
          "cockpit", "cabin", "galley", "camper van", "caravan", "rooftop", "ground floor",
          "first floor", "top floor", "elevator", "corridor", "vestibule", "mudroom", "ballroom",
          "drawing room", "bathhouse")
DEVICES = ("lamp", "fan", "heater", "pump", "light", "radio", "kettle", "oven", "printer", "camera",
           "motor", "valve", "siren", "screen", "charger", "router", "toaster", "speaker", "mixer",
           "dryer", "projector", "humidifier", "freezer", "boiler", "buzzer", "relay", "sprinkler",
           "coffee machine", "desk lamp", "ceiling light", "water pump", "night light", "TV",
           "air conditioner", "washing machine", "red light", "green light", "status LED",
           "coffee maker", "espresso machine", "rice cooker", "slow cooker", "microwave",
           "dishwasher", "tumble dryer", "fridge", "vacuum cleaner", "robot vacuum", "lawn mower",
           "hedge trimmer", "garden hose", "fountain", "pond pump", "pool pump", "heat pump",
           "circulation pump", "exhaust fan", "ceiling fan", "table fan", "extractor hood",
           "space heater", "towel heater", "floor heating", "electric blanket", "dehumidifier",
           "air purifier", "air pump", "aquarium light", "grow light", "porch light",
           "hall light", "bedside lamp", "floor lamp", "reading lamp", "Christmas tree",
           "disco ball", "spotlight", "floodlight", "blue LED", "green LED",
           "yellow LED", "warning light", "strobe", "beacon", "doorbell", "intercom", "alarm",
           "smoke alarm", "motion sensor", "webcam", "security camera", "baby monitor", "monitor",
           "laptop", "desktop PC", "server", "modem", "switch", "access point", "amplifier",
           "subwoofer", "record player", "stereo", "soundbar", "microphone", "game console",
           "video recorder", "3D printer", "scanner", "laser cutter", "drill press",
           "soldering iron", "hot plate", "compressor", "generator", "inverter",
           "battery charger", "fuel pump", "conveyor belt", "conveyor", "crane", "winch",
           "gate motor", "garage door opener", "stirrer", "centrifuge", "oscillator", "laser",
           "telescope", "sewing machine", "bread maker", "blender", "juicer", "ice maker",
           "hair dryer", "shaver", "foot bath", "treadmill", "massage chair", "irrigation",
           "water heater", "wood stove", "grill", "deep fryer", "popcorn machine", "backup drive",
           "ventilator", "hood light", "solenoid", "stepper motor", "cooling fan")
CITIES = ("Paris", "Rome", "London", "Berlin", "Madrid", "Vienna", "Oslo", "Lisbon", "Prague",
          "Dublin",
          "Athens", "Cairo", "Tokyo", "Seoul", "Delhi", "Lima", "Boston", "Chicago", "Toronto",
          "Sydney",
          "Helsinki", "Warsaw", "Zurich", "Hamburg", "Lyon", "Milan", "Porto", "Kyoto", "Nairobi",
          "Quito",
          "New York", "Los Angeles", "San Francisco", "New Orleans", "Mexico City",
          "Buenos Aires", "Rio de Janeiro", "Cape Town", "Hong Kong", "Tel Aviv", "Kuala Lumpur",
          "Abu Dhabi", "Las Vegas", "St. Petersburg", "Santa Fe", "Stockholm", "Copenhagen",
          "Brussels", "Amsterdam", "Rotterdam", "Munich", "Cologne", "Leipzig", "Dresden",
          "Geneva", "Bern", "Basel", "Graz", "Salzburg", "Venice", "Naples", "Turin", "Florence",
          "Barcelona", "Seville", "Valencia", "Bilbao", "Marseille", "Nice", "Bordeaux",
          "Edinburgh", "Glasgow", "Manchester", "Leeds", "Bristol", "Cardiff", "Belfast", "Cork",
          "Bergen", "Tampere", "Riga", "Tallinn", "Vilnius", "Krakow", "Budapest", "Belgrade",
          "Zagreb", "Sofia", "Bucharest", "Istanbul", "Ankara", "Beirut", "Baghdad", "Dubai",
          "Mumbai", "Kolkata", "Dhaka", "Bangkok", "Hanoi", "Manila", "Jakarta", "Perth",
          "Melbourne", "Auckland", "Wellington", "Osaka", "Nagoya", "Sapporo", "Shanghai",
          "Beijing", "Lagos", "Accra", "Dakar", "Tunis", "Casablanca", "Denver", "Dallas",
          "Houston", "Seattle", "Miami", "Atlanta", "Phoenix", "Montreal", "Vancouver", "Ottawa",
          "Havana", "Bogota", "Santiago", "Montevideo")
COUNTRIES = ("France", "Italy", "Spain", "Germany", "Norway", "Japan", "Brazil", "Canada", "Egypt",
             "India",
             "Kenya", "Peru", "Chile", "Poland", "Greece", "Sweden", "Turkey", "Mexico", "China",
             "Portugal",
             "Finland", "Austria", "Cuba", "Iceland", "Ireland", "Nepal", "Ghana", "Morocco",
             "Vietnam")
SONGS = ("Blue Train", "Silver Rain", "Morning Song", "River Dance", "Night Drive", "Golden Hour",
         "Paper Moon", "Summer Wind", "Open Road", "Quiet Sea", "Little Star", "Red Sky",
         "Moonlight Sonata", "Jingle Bells", "Happy Birthday", "Yellow Bird", "Black Coffee",
         "Lonely Planet", "Winter Waltz", "City Lights", "Dancing Shoes", "Broken Clock",
         "Sleeping Giant", "Autumn Leaves", "Walking Home", "Run Away", "Stay With Me",
         "Long Way Down", "Hold On", "One More Day", "Ten Thousand Miles", "Twelve Steps",
         "Route 9", "Highway 61", "Track 3", "Area 7", "Seven Bells", "The Lighthouse",
         "The Old Mill", "The Fisherman's Song", "Anna's Waltz", "Song for Mary",
         "Ballad of the Crow", "Dance of the Bees", "March of the Ants", "Under the Bridge",
         "Over the Hills", "Rain on the Roof", "Fire and Ice", "Salt and Honey",
         "Bread and Roses", "Stars over Lima", "Midnight in Rome", "A Walk in Lisbon",
         "Back to Kyoto", "Hello Sunshine", "Goodbye Winter", "Wake Up", "Slow Down",
         "Sweet Dreams", "Electric Garden", "Neon Forest", "Plastic Flowers", "Wooden Heart",
         "Iron Horse", "Copper Kettle", "Velvet Sky", "Glass Bird", "Stone Soup",
         "Sailor's Farewell", "Greensleeves", "Clair de Lune", "Bolero", "Fur Elise",
         "Symphony No. 5", "Prelude in C", "Nocturne No. 2", "Blue Danube")
PLACE_ADJECTIVES = ("old", "new", "big", "small", "upper", "lower", "inner", "outer", "main",
                    "second", "third", "rear", "dark", "sunny", "long", "narrow", "round",
                    "spare", "empty", "cold", "warm", "quiet", "secret", "glass", "wooden",
                    "stone", "summer", "winter", "private", "staff", "music", "chess", "tea",
                    "coffee", "paint", "machine", "seed", "cheese")
SIDES = ("left", "right", "front", "back", "east", "west", "north", "south", "top", "bottom",
         "middle", "upstairs", "downstairs", "outdoor", "indoor")
TOWN_STARTS = ("Oak", "Elm", "Ash", "Stone", "Brook", "Green", "Black", "White", "Red", "Wood",
               "Lake", "Mill", "North", "South", "West", "East", "Marl", "Thorn", "Hol", "Win",
               "Kings", "Bram", "Kel", "Dun", "Har", "Lind", "Ros", "Tor", "Vil", "Wald", "Fal")
TOWN_ENDS = ("ford", "ton", "bridge", "field", "ham", "bury", "wick", "dale", "port", "haven",
             "worth", "by", "stead", "mouth", "hurst", "brook", "berg", "stad", "nes", "ville")
CHORES = ("feed the cat", "walk the dog", "water the plants", "call mum", "take out the trash",
          "turn the roast", "check the oven", "move the car", "buy milk", "pay the rent",
          "take my pills", "drink some water", "charge the phone", "stretch", "send the report",
          "pick up the parcel", "clean the filter", "empty the dishwasher", "hang up the laundry",
          "close the windows", "go to bed", "stand up", "join the meeting", "book the train",
          "write to Paul", "open the greenhouse", "stir the soup", "flip the pancakes",
          "bring the umbrella", "lock the shed", "oil the chain", "fix the bike",
          "change the battery", "return the book", "wake the baby", "rinse the rice",
          "refill the printer", "back up the server", "read chapter 4", "call room 12",
          "practise the piano", "do the homework", "wash the car", "wrap the present",
          "order pizza", "check the mail", "defrost the fridge", "sharpen the knife",
          "cut the grass", "come home", "bring some bread", "be on time", "bring the keys",
          "call me back", "wait at gate 7", "meet me at noon", "shut down the mill")
