#!/bin/sh
# Lets espeak-ng speak sentences of our own into the folder that is named: 16 kHz, mono, 16 bit, a file for each voice, speed
# and sentence. What is there already stays.
set -eu

folder=$1
scratch=$(mktemp --suffix=.wav)
trap 'rm -f "$scratch"' EXIT

# voice, speed, pitch, number of the sentence, sentence.
speak() {
    file="$folder/$1-$2-$4.wav"
    if [ ! -e "$file" ]; then
        espeak-ng -v "$1" -s "$2" -p "$3" -w "$scratch" "$5"
        sox -D -R "$scratch" -b 16 -c 1 -r 16000 "$file.part.wav" norm -6
        mv "$file.part.wav" "$file"
    fi
}

# voice, speed, pitch, then sentences.
each() {
    voice=$1 speed=$2 pitch=$3
    shift 3
    number=0
    for sentence in "$@"; do
        number=$((number + 1))
        speak "$voice" "$speed" "$pitch" "$number" "$sentence"
    done
}

english() {
    each "$1" "$2" "$3" \
        "I would like to move my appointment from Tuesday to the end of the week, if that is possible." \
        "Yes." \
        "The parcel never came, and the number that I was given does not answer." \
        "Can you tell me how much is left on my account?" \
        "No, thank you, that was all." \
        "Six, four, nine, one, zero, three."
}
english en-gb 150 40
english en-us+f3 185 60
english en-gb-scotland+m3 220 30

each de+f2 160 55 \
    "Ich habe gestern eine Rechnung bekommen, die ich nicht verstehe." "Ja, genau." \
    "Können Sie mich bitte mit der Werkstatt verbinden?" "Das Auto steht seit Montag bei Ihnen." "Auf Wiederhören."
each es 190 45 \
    "Quisiera saber a qué hora abre la oficina mañana." "Sí, claro." \
    "He perdido mi tarjeta y necesito una nueva lo antes posible." "Muchas gracias por su ayuda."
each fr-fr+f4 175 50 \
    "Bonjour, je voudrais réserver une table pour quatre personnes." "Non." \
    "Le train de dix heures est en retard, savez-vous pourquoi ?" "Merci, bonne journée."
each it+m2 170 40 \
    "Vorrei parlare con qualcuno del servizio clienti." "Va bene." \
    "La linea cade ogni volta che provo a chiamare." "A domani."
each ru 165 45 \
    "Здравствуйте, я хотел бы узнать о доставке моего заказа." "Да, конечно." \
    "Он должен был прийти ещё на прошлой неделе." "Спасибо, до свидания."
each pl+f1 200 55 \
    "Dzień dobry, dzwonię w sprawie umowy na internet." "Tak." "Od trzech dni nic nie działa." "Dziękuję."
